// `folio run`: loads a model, then answers one prompt or chats.
#pragma once

#include "app/console.h"
#include "app/exit_code.h"
#include "app/options.h"

namespace folio::app {

// Errors are said on the console. Uses the standard streams and signals of the process.
[[nodiscard]] ExitCode run_command(const RunOptions& options, Console& console);

}  // namespace folio::app
