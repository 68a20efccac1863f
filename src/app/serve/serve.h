// `folio serve`: loads a model and answers HTTP requests until a signal.
#pragma once

#include "app/console.h"
#include "app/exit_code.h"
#include "app/serve/options.h"

namespace folio::app {

// Errors are said on the console. Uses the signals of the process.
[[nodiscard]] ExitCode serve_command(const ServeOptions& options, Console& console);

}  // namespace folio::app
