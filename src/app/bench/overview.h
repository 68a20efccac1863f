// `folio bench --overview`: what one conversation costs on this machine, in one table: loading, memory,
// prefill, decoding at two lengths, and what a token costs with the cache and without it.
#pragma once

#include "app/bench/options.h"
#include "app/console.h"
#include "base/result.h"

namespace folio::app {

// Takes model, threads, repetitions and format (text or JSON) from the options; the first of each list.
[[nodiscard]] Status overview(const BenchOptions& options, Console& console);

}  // namespace folio::app
