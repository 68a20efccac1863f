// `folio bench`: how fast a model runs here, beside the limits that this machine is measured to have.
#pragma once

#include "app/bench/options.h"
#include "app/console.h"
#include "app/exit_code.h"

namespace folio::app {

// The table, the JSON object or the CSV goes to standard output; errors to the console's notes. Text and CSV
// come line by line as they are measured.
[[nodiscard]] ExitCode bench_command(const BenchOptions& options, Console& console);

}  // namespace folio::app
