// The rows of `folio run`.
#pragma once

#include "app/flag.h"
#include "app/options.h"

namespace folio::app {

// `run` outlives the rows.
[[nodiscard]] Command describe_run(RunOptions& run);

// What one flag alone cannot know. Errors: two flags that contradict each other, both named.
[[nodiscard]] Status check_run(const RunOptions& run);

}  // namespace folio::app
