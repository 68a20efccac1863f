// Batch: the tokens of one step, of any number of sequences, as the model takes them.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "base/ids.h"
#include "kernels/attention/attention.h"

namespace folio::model {

// Row r is token tokens[r] at positions[r], whose K and V go to slots[r]. The rows of one sequence are
// consecutive and ascending (`sequences`). Prefill and decode differ only in how many rows a sequence has.
// All spans stay valid during forward(); nothing is owned.
struct Batch {
  std::span<const TokenId> tokens;           // [rows]
  std::span<const std::uint32_t> positions;  // [rows]
  std::span<const kernels::KvSlot> slots;    // [rows]
  std::span<const kernels::AttentionSequence> sequences;
  std::span<const std::uint32_t> output_rows;  // rows whose logits are wanted, ascending
  std::span<const std::uint32_t> hidden_rows;  // other rows, whose hidden state is wanted, ascending
  // Looked at between layers: once it is true the pass may end, and what it wrote is not to be used. It stays
  // true until forward() has returned. Null: never.
  const std::atomic<bool>* abandon = nullptr;
};

}  // namespace folio::model
