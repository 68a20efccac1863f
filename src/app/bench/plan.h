// Which engines and which shapes a `folio bench` runs, and whether the model takes them. Pure functions.
#pragma once

#include <vector>

#include "app/bench/options.h"
#include "app/bench/report.h"
#include "base/result.h"
#include "model/model_config.h"

namespace folio::app {

// One engine and everything that is timed on it.
struct BenchPlan {
  BenchSetting setting;  // with threads and KV type as they will be
  std::vector<RunShape> shapes;
  std::size_t context_tokens = 0;  // of the longest stream, or a step if that is more
  std::size_t kv_tokens = 0;       // of the largest shape's streams together
};

// Every combination of the lists: the settings in order of threads, KV type and activations, and in each
// the shapes in order of depth, streams, sharing, prompt and generation. The depth is rounded up to whole
// blocks. Combinations that time nothing (neither prompt nor generation) are left out, and so is sharing of
// a depth of nothing, where another combination differs in it.
// Errors: no combination is left; more than kMaxCombinations; a shape longer than the model's context.
[[nodiscard]] Result<std::vector<BenchPlan>> plan_bench(const BenchOptions& options,
                                                        const model::ModelConfig& config);

// What the timed steps of a test have to do.
[[nodiscard]] WorkTotals count_prefill(const ModelWork& model, const RunShape& shape, std::size_t step_tokens,
                                       const Roofline& roofline);
[[nodiscard]] WorkTotals count_decode(const ModelWork& model, const RunShape& shape,
                                      const Roofline& roofline);

}  // namespace folio::app
