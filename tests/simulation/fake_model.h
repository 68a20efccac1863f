// FakeModel: K and V *are* the token ids. It writes each row's id into the row's slot, and makes the logits
// of an output row from all ids read back through the block list, from position 0 on. So a wrong table, a
// stale or a lost block, a byte written into somebody else's: everything becomes a wrong token. Hidden states
// are made the same way.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"

namespace folio::simulation {

inline constexpr std::uint32_t kVocab = 32, kHidden = 16;

// What the model says after `tokens`: the specification that it is checked against.
std::vector<float> logits_after(std::span<const TokenId> tokens);
// The hidden state of the last of `tokens`.
std::vector<float> hidden_after(std::span<const TokenId> tokens);

class FakeModel final : public model::Model {
 public:
  explicit FakeModel(std::uint32_t context);
  void forward(const model::Batch& batch, const kv::KvGeometry& geometry, std::span<std::byte> memory,
               model::Workspace& workspace, platform::ThreadPool& pool) const override;
  std::size_t step_weight_bytes() const override { return 1; }
};

}  // namespace folio::simulation
