#include "model/workspace.h"

#include <algorithm>
#include <utility>

namespace folio::model {

Result<Workspace> Workspace::create(const ModelConfig& c, const WorkspaceLimits& limits) {
  const std::size_t q = std::size_t{c.heads} * c.head_dim, kv = std::size_t{c.kv_heads} * c.head_dim;
  const std::size_t widest = std::max({std::size_t{c.hidden}, q, std::size_t{c.ffn}});

  FOLIO_TRY(quantized, kernels::QuantizedRows::create(limits.rows, widest, limits.arithmetic));
  FOLIO_TRY(plan, kernels::AttentionPlan::create(limits.threads, c.head_dim, limits.context));

  std::size_t floats = 0;
  const auto take = [&](std::size_t rows, std::size_t columns) {
    const std::size_t offset = floats;
    floats += (rows * columns + 15) / 16 * 16;  // whole cache lines
    return offset;
  };
  const std::size_t hidden = take(limits.rows, c.hidden), normed = take(limits.rows, c.hidden);
  const std::size_t queries = take(limits.rows, q), keys = take(limits.rows, kv),
                    values = take(limits.rows, kv);
  const std::size_t attended = take(limits.rows, q);
  const std::size_t gate = take(limits.rows, c.ffn), up = take(limits.rows, c.ffn);
  const std::size_t cosines = take(limits.rows, c.rope.dims / 2), sines = take(limits.rows, c.rope.dims / 2);
  const std::size_t logits = take(limits.output_rows, c.vocab);
  FOLIO_TRY(arena, platform::Arena::create(floats * sizeof(float), "activations",
                                           platform::Placement::kInterleaved));

  Workspace w(limits, std::move(quantized), kernels::RowScratch(limits.threads, widest), std::move(plan),
              std::move(arena));
  w.hidden_ = hidden;
  w.normed_ = normed;
  w.queries_ = queries;
  w.keys_ = keys;
  w.values_ = values;
  w.attended_ = attended;
  w.gate_ = gate;
  w.up_ = up;
  w.cosines_ = cosines;
  w.sines_ = sines;
  w.logits_ = logits;
  return w;
}

}  // namespace folio::model
