// One table for each experiment: what the engine gains by doing many things at once, and what that costs it.
// docs/benchmarks.md says how each figure comes about.
#pragma once

#include "app/console.h"
#include "base/result.h"
#include "options.h"

namespace folio::experiments {

// Everything but paging. Errors: those of loading the model, and of what is measured.
[[nodiscard]] Status engine_table(const Options& options, app::Console& console);
// Its rows that take no model: upkeep, contiguous slots, a prompt that many share.
[[nodiscard]] Status crowd_table(const Options& options, app::Console& console);
// Its rows about the trace, which must be given; takes no model.
[[nodiscard]] Status trace_table(const Options& options, app::Console& console);
// What blocks cost attention; takes no model.
[[nodiscard]] Status paging_table(const Options& options, app::Console& console);

}  // namespace folio::experiments
