// Evictor: which cached block to lose first when room is needed. It orders; the cache takes.
//
//   keep -> used ... add -> remove -> used ... add -> remove -> ... -> forget      the life of one content
//                    |- cached -|              |- cached -|
//
// Every order keeps one rule: a block goes before the one it follows (its parent), for without the parent
// nobody could find it. The cache helps: it gives a parent back after its children, so an order by time has
// the rule for nothing.
//
// Thread rule: the pool's thread. Memory: taken at creation.
#pragma once

#include <cstddef>
#include <vector>

#include "base/ids.h"
#include "kv/block_list.h"

namespace folio::kv {

// What losing a block would cost: facts of its content, which never change.
struct BlockWorth {
  BlockId parent = kNoBlock;
  std::size_t first_token = 0;  // its tokens' position: attention makes later ones dearer to compute again
};

class Evictor {
 public:
  virtual ~Evictor() = default;

  // `block`, in use, holds something that can be found again. Requires: it did not, or forget() came since.
  virtual void keep(BlockId block, const BlockWorth& worth) = 0;
  // A sequence found it and went on from it. Requires: it is kept.
  virtual void used(BlockId block) = 0;
  // It is cached from now on. Requires: it is kept and was not cached; its cached children were added before
  // it.
  virtual void add(BlockId block) = 0;
  // It is not any more: somebody uses it again. Requires: it was.
  virtual void remove(BlockId block) = 0;
  // What it held is gone, and with it all that is known of it. Requires: it is kept and not cached.
  virtual void forget(BlockId block) = 0;

  virtual BlockId first() const = 0;  // to go first; kNoBlock: none is cached
  virtual std::size_t size() const = 0;
  // All cached blocks in the order in which they would go, for checks. Cost: O(n log n).
  virtual std::vector<BlockId> order() const = 0;
};

}  // namespace folio::kv
