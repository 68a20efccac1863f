// `folio pull | list | rm`: the models on this machine.
#pragma once

#include "app/console.h"
#include "app/exit_code.h"
#include "app/options.h"

namespace folio::app {

// Errors are said on the console.
[[nodiscard]] ExitCode pull_command(const PullOptions& options, Console& console);
[[nodiscard]] ExitCode list_command(Console& console);
[[nodiscard]] ExitCode rm_command(const RmOptions& options, Console& console);

}  // namespace folio::app
