// The rows of `folio bench`.
#pragma once

#include "app/bench/options.h"
#include "app/flag.h"
#include "base/result.h"

namespace folio::app {

// `bench` outlives the rows.
[[nodiscard]] Command describe_bench(BenchOptions& bench);

// What one flag alone cannot know. Errors: two flags that contradict each other, both named.
[[nodiscard]] Status check_bench(const BenchOptions& bench);

}  // namespace folio::app
