// `folio inspect`: what a model file holds, what its KV cache costs, and what this machine has.
#pragma once

#include "app/console.h"
#include "app/exit_code.h"
#include "app/options.h"

namespace folio::app {

// The report goes to standard output, errors to the console's notes. A model that folio cannot run is still
// shown; its config says why.
[[nodiscard]] ExitCode inspect_command(const InspectOptions& options, Console& console);

}  // namespace folio::app
