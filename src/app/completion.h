// Shell completion scripts, made from the description of the command line.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "app/cli.h"

namespace folio::app {

// Requires: shell is "bash", "zsh" or "fish"; commands as describe_command_line() gives them.
[[nodiscard]] std::string completion_script(std::string_view shell, std::span<const CommandSpec> commands);

}  // namespace folio::app
