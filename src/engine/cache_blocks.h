// CacheBlocks: the scheduler's questions about blocks, answered by the KV cache for the engine's sequences.
//
// Thread rule: the engine's thread. Ownership: none; cache and table outlive it.
#pragma once

#include <cstdint>

#include "engine/sequence.h"
#include "kv/kv_cache.h"
#include "scheduler/sequence_blocks.h"

namespace folio::engine {

class CacheBlocks final : public scheduler::SequenceBlocks {
 public:
  CacheBlocks(kv::KvCache& cache, const SequenceTable& sequences) : cache_(cache), sequences_(sequences) {}

  scheduler::Opening open(SequenceId id, std::size_t spare_blocks) override;
  bool reserve(SequenceId id, std::size_t upto) override;
  std::size_t missing_blocks(SequenceId id) const override;
  void preempt(SequenceId id) override;

 private:
  bool must_wait(Sequence& sequence);

  kv::KvCache& cache_;
  const SequenceTable& sequences_;
};

}  // namespace folio::engine
