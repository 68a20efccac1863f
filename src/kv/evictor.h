// Evictor: which cached block to lose first when room is needed. It orders; the pool takes.
//
// Every order keeps one rule: a block goes before the one it follows (its parent), for without the parent
// nobody could find it. The cache helps: it gives a parent back after its children, so an order by time has
// the rule for nothing.
//
// Thread rule: the pool's thread. Memory: taken at creation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "kv/block_list.h"

namespace folio::kv {

enum class Eviction {
  kLru,   // the least recently used first
  kCost,  // what is cheapest to compute again, and was of least use, first
};

// What losing a block would cost.
struct BlockWorth {
  BlockId parent = kNoBlock;
  std::size_t first_token = 0;  // its tokens' position: attention makes later ones dearer to compute again
  std::uint32_t uses = 0;       // how often others found it
};

class Evictor {
 public:
  virtual ~Evictor() = default;

  // `block` is cached from now on. Requires: it was not; its cached children were added before it.
  virtual void add(BlockId block, const BlockWorth& worth) = 0;
  // It is not any more: somebody uses it again. Requires: it was.
  virtual void remove(BlockId block) = 0;
  // What it held is gone, and with it all that is known of it. Requires: it is not cached.
  virtual void forget(BlockId block) = 0;

  virtual BlockId first() const = 0;  // to go first; kNoBlock: none is cached
  virtual std::size_t size() const = 0;
  // All cached blocks in the order in which they would go, for checks. Cost: O(n log n).
  virtual std::vector<BlockId> order() const = 0;
};

// `attention_share`: what one token costs to compute for each token before it, where its linear layers cost
// 1; only for Eviction::kCost.
std::unique_ptr<Evictor> make_evictor(Eviction eviction, std::size_t blocks, double attention_share);

}  // namespace folio::kv
