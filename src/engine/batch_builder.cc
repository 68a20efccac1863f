#include "engine/batch_builder.h"

namespace folio::engine {

const model::Batch& BatchBuilder::build(std::span<PlanItem> plan, const kv::KvGeometry& geometry) {
  tokens_.clear();
  positions_.clear();
  slots_.clear();
  sequences_.clear();
  output_rows_.clear();
  hidden_rows_.clear();
  const std::size_t block_tokens = geometry.block_tokens();
  for (PlanItem& item : plan) {
    const std::span<const BlockId> blocks = item.sequence->kv->blocks();
    const std::size_t first_row = tokens_.size();
    for (std::size_t p = item.first; p < item.end; ++p) {
      tokens_.push_back(item.sequence->tokens[p]);
      positions_.push_back(static_cast<std::uint32_t>(p));
      slots_.push_back(
          {.block = blocks[p / block_tokens], .offset = static_cast<std::uint32_t>(p % block_tokens)});
    }
    sequences_.push_back({.blocks = blocks.data(),
                          .first_row = first_row,
                          .rows = item.end - item.first,
                          .first_position = static_cast<std::uint32_t>(item.first)});
    const bool hidden = item.sequence->request.wants_hidden();
    const std::size_t first_wanted = tokens_.size() - item.outputs;
    item.first_output = hidden ? first_wanted : output_rows_.size();
    for (std::size_t r = first_wanted; r < tokens_.size(); ++r)
      (hidden ? hidden_rows_ : output_rows_).push_back(static_cast<std::uint32_t>(r));
  }
  batch_ = {.tokens = tokens_,
            .positions = positions_,
            .slots = slots_,
            .sequences = sequences_,
            .output_rows = output_rows_,
            .hidden_rows = hidden_rows_};
  return batch_;
}

}  // namespace folio::engine
