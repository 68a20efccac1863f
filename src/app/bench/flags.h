// The flags of `folio bench`. Internal to the command line; see cli_flags.h.
#pragma once

#include "app/bench/options.h"
#include "base/result.h"

namespace CLI {
class App;
}

namespace folio::app {

// `app` keeps pointers into the second argument until it has parsed.
void define_bench(CLI::App* app, BenchOptions& bench);

// What one flag alone cannot know. Errors: two flags that contradict each other, both named.
[[nodiscard]] Status check_bench(const BenchOptions& bench);

}  // namespace folio::app
