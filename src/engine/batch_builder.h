// BatchBuilder: a step's plan -> the flat arrays that the model takes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sequence.h"
#include "kernels/attention/attention.h"
#include "kv/kv_geometry.h"
#include "model/batch.h"

namespace folio::engine {

// Keeps its arrays from step to step: a step in the steady state allocates nothing. One thread.
class BatchBuilder {
 public:
  // Sets each item's first_output. Requires: every item's tokens are known and their blocks reserved. The
  // result is valid until the next call and while the sequences' tables do not change.
  const model::Batch& build(std::span<PlanItem> plan, const kv::KvGeometry& geometry);

 private:
  std::vector<TokenId> tokens_;
  std::vector<std::uint32_t> positions_;
  std::vector<kernels::KvSlot> slots_;
  std::vector<kernels::AttentionSequence> sequences_;
  std::vector<std::uint32_t> output_rows_, hidden_rows_;
  model::Batch batch_;
};

}  // namespace folio::engine
