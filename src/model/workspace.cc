#include "model/workspace.h"

#include <algorithm>
#include <utility>

namespace folio::model {

namespace {

std::size_t query_width(const ModelConfig& c) { return std::size_t{c.heads} * c.head_dim; }
std::size_t widest_row(const ModelConfig& c) {
  return std::max({std::size_t{c.hidden}, query_width(c), std::size_t{c.ffn}});
}

std::size_t in_lines(std::size_t floats) { return (floats + 15) / 16 * 16; }  // whole cache lines

// The buffers of one row for each token, one behind the other; offsets in floats.
struct Layout {
  Layout(const ModelConfig& c, std::size_t rows) {
    const std::size_t q = query_width(c), kv = std::size_t{c.kv_heads} * c.head_dim, pairs = c.rope.dims / 2;
    const auto take = [&](std::size_t columns) {
      const std::size_t offset = floats;
      floats += in_lines(rows * columns);
      return offset;
    };
    hidden = take(c.hidden);
    normed = take(c.hidden);
    queries = take(q);
    keys = take(kv);
    values = take(kv);
    attended = take(q);
    gate = take(c.ffn);
    up = take(c.ffn);
    cosines = take(pairs);
    sines = take(pairs);
  }

  std::size_t floats = 0;
  std::size_t hidden, normed, queries, keys, values, attended, gate, up, cosines, sines;
};

std::size_t logit_bytes(const ModelConfig& c, const WorkspaceLimits& limits) {
  return in_lines(limits.output_rows * c.vocab) * sizeof(float);
}

}  // namespace

WorkspaceBytes Workspace::bytes(const ModelConfig& c, const WorkspaceLimits& limits) {
  const std::size_t widest = widest_row(c);
  return {.activations = Layout(c, limits.rows).floats * sizeof(float) +
                         kernels::QuantizedRows::bytes(limits.rows, widest, limits.arithmetic),
          .logits = logit_bytes(c, limits),
          .attention_scratch = kernels::AttentionPlan::bytes(limits.threads, c.head_dim, limits.context),
          .tables = static_cast<std::size_t>(limits.threads) * widest * sizeof(float)};
}

Result<Workspace> Workspace::create(const ModelConfig& c, const WorkspaceLimits& limits) {
  constexpr auto kSpread = platform::Placement::kInterleaved;
  const std::size_t widest = widest_row(c);
  const Layout layout(c, limits.rows);
  FOLIO_TRY(quantized, kernels::QuantizedRows::create(limits.rows, widest, limits.arithmetic));
  FOLIO_TRY(plan, kernels::AttentionPlan::create(limits.threads, c.head_dim, limits.context));
  FOLIO_TRY(floats, platform::Arena::create(layout.floats * sizeof(float), "activations", kSpread));
  FOLIO_TRY(logits, platform::Arena::create(logit_bytes(c, limits), "logits", kSpread));

  Workspace w(limits, std::move(quantized), kernels::RowScratch(limits.threads, widest), std::move(plan),
              std::move(floats), std::move(logits));
  w.hidden_ = layout.hidden;
  w.normed_ = layout.normed;
  w.queries_ = layout.queries;
  w.keys_ = layout.keys;
  w.values_ = layout.values;
  w.attended_ = layout.attended;
  w.gate_ = layout.gate;
  w.up_ = layout.up;
  w.cosines_ = layout.cosines;
  w.sines_ = layout.sines;
  return w;
}

}  // namespace folio::model
