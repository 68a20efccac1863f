// SequenceKv: what one sequence holds in the cache: its table, its chain of names, and how far it has come.
//
//   tokens     0 ............................................. known
//              |--- published ---|--- computed ---|--- reserved ---|
//   published  full blocks in the index; others may share them      multiple of block_tokens, <= computed
//   computed   K and V are valid in the table
//   reserved   blocks are there to be written                        table().token_capacity()
//
// Only KvCache and Claims change it. Thread rule: the cache's thread. Ownership: pins its blocks and gives
// them back, and its claims up, when it dies; the cache outlives it. Moving it is cheap and keeps everything.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/ids.h"
#include "kv/block_table.h"
#include "kv/kv_group.h"
#include "kv/pending_prefixes.h"
#include "kv/prefix_hash.h"

namespace folio::kv {

class SequenceKv;

// The sequences that are open in one cache, each at its own slot, and the blocks that they are computing.
struct OpenSequences {
  std::vector<SequenceKv*> all;
  PendingPrefixes pending;
};

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

 private:
  friend class Claims;
  friend class KvCache;
  SequenceKv(OpenSequences& home, SequenceId owner, BlockTable table, PrefixChain chain);

  // Keeps tokens [0, tokens) and gives the other blocks back. The tokens stay what they were, so their names
  // do.
  void give_back(std::size_t tokens);
  // Other tokens than those before may follow the first `tokens`.
  void forget_names(std::size_t tokens);
  void drop_claims();
  std::size_t full_blocks(std::size_t tokens) const { return tokens / table_.block_tokens(); }

  OpenSequences* home_;  // null after a move
  std::size_t slot_ = 0;
  SequenceId owner_;  // whom its claims are known by
  BlockTable table_;
  PrefixChain chain_;
  std::vector<FoundBlock> found_;  // by the last look-up, whether pinned then or not
  std::size_t computed_ = 0;
  std::size_t published_blocks_ = 0;
  std::size_t claimed_blocks_ = 0;  // blocks [published, claimed) are its own claims; 0: none
  std::size_t hit_tokens_ = 0;      // of match(), not yet in the statistics
  std::size_t queried_tokens_ = 0;
};

}  // namespace folio::kv
