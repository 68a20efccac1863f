// SequenceKv: what one sequence holds in the cache: its table, its chain of names, and how far it has come.
//
//   tokens     0 ............................................. known
//              |--- published ---|--- computed ---|--- reserved ---|
//   published  full blocks in the index; others may share them      multiple of block_tokens, <= computed
//   computed   K and V are valid in the table
//   reserved   blocks are there to be written                        table().token_capacity()
//
// Only KvCache changes it. Thread rule: the cache's thread. Ownership: pins its blocks and gives them back
// when it dies; the cache outlives it. Moving it is cheap and keeps everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ids.h"
#include "kv/block_table.h"
#include "kv/prefix_hash.h"

namespace folio::kv {

class KvCache;

class SequenceKv {
 public:
  SequenceKv(SequenceKv&& other) noexcept;
  SequenceKv& operator=(SequenceKv&& other) noexcept;
  ~SequenceKv();

  // In token order; may name more blocks than computed() fills. Valid until the cache next changes this
  // sequence.
  std::span<const BlockId> blocks() const { return table_.ids(); }
  std::size_t computed() const { return computed_; }
  std::size_t published_blocks() const { return published_blocks_; }
  std::size_t token_capacity() const { return table_.token_capacity(); }

  // What KvCache::claimant() calls it from its next claim on. 0 at first.
  void set_label(std::uint64_t label) { label_ = label; }

 private:
  friend class KvCache;
  SequenceKv(KvCache& cache, BlockTable table, PrefixChain chain);

  KvCache* cache_;  // null after a move
  std::size_t registry_slot_ = 0;
  BlockTable table_;
  PrefixChain chain_;
  std::size_t computed_ = 0;
  std::size_t published_blocks_ = 0;
  std::size_t claimed_blocks_ = 0;  // blocks [published, claimed) are its own claims; 0: none
  std::size_t hit_tokens_ = 0;      // of match(), not yet in the statistics
  std::size_t queried_tokens_ = 0;
  std::uint64_t serial_ = 0;  // names the owner of claims
  std::uint64_t label_ = 0;   // the same for others
};

}  // namespace folio::kv
