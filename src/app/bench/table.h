// `folio bench --engine`, `--slots` and `--paging`: one table of what the engine gains by doing many things
// at once, and what that costs it. docs/benchmarks.md says how each figure comes about.
#pragma once

#include "app/bench/options.h"
#include "app/console.h"
#include "base/result.h"

namespace folio::app {

// Errors: those of loading the model, and of what is measured.
[[nodiscard]] Status engine_table(const BenchOptions& options, Console& console);
// The row of slots, which takes no model.
[[nodiscard]] Status slots_table(const BenchOptions& options, Console& console);
// What blocks cost attention; takes no model.
[[nodiscard]] Status paging_table(const BenchOptions& options, Console& console);

}  // namespace folio::app
