// CacheBlocks: the scheduler's questions about blocks, answered by the KV cache for the engine's sequences.
//
// Thread rule: the engine's thread. Ownership: none; cache, table and cost outlive it.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/sequence.h"
#include "kv/kv_cache.h"
#include "scheduler/sequence_blocks.h"
#include "scheduler/step_cost.h"

namespace folio::engine {

class CacheBlocks final : public scheduler::SequenceBlocks {
 public:
  CacheBlocks(kv::KvCache& cache, const SequenceTable& sequences, const scheduler::StepCost& cost)
      : cache_(cache), sequences_(sequences), cost_(cost) {}

  std::optional<SequenceId> producer_of(SequenceId id) override;
  scheduler::Opening open(SequenceId id, std::size_t spare_blocks) override;
  bool reserve(SequenceId id, std::size_t upto) override;
  std::size_t missing_blocks(SequenceId id) const override;
  void preempt(SequenceId id) override;

 private:
  Sequence& opened(SequenceId id);
  std::size_t match(Sequence& sequence, std::size_t spare_blocks);
  bool swapping_is_faster(const Sequence& sequence) const;
  void swap_in(Sequence& sequence);

  kv::KvCache& cache_;
  const SequenceTable& sequences_;
  const scheduler::StepCost& cost_;
};

}  // namespace folio::engine
