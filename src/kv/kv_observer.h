// KvObserver: hears of every block that enters the prefix index, is used from there, or leaves it. Whoever
// keeps books of what is cached (lifetimes, a router's view of this cache) listens; nobody answers.
//
//   published(b) -> used(b) ... -> lost(b)      the life of one content; then block b may hold another
//   cleared()                                   all that was there is gone at once, by KvCache::reset()
//
// So what is resident is what was published and neither lost nor cleared since. A block is published after
// its parent and lost before it.
//
// Thread rule: called on the cache's thread, in the middle of its operations: an observer calls nothing of
// the cache, throws nothing, and takes O(block_tokens), without allocating once it has what it needs.
#pragma once

#include "base/ids.h"
#include "kv/prefix_index.h"

namespace folio::kv {

class KvObserver {
 public:
  virtual ~KvObserver() = default;

  // `block` can be found as `content` from now on. The key's tokens are the caller's: valid during the call.
  virtual void published(BlockId, const PrefixKey&) {}
  // A sequence that did not compute it reads it: it goes on from it, or from a copy of a part of it.
  virtual void used(BlockId) {}
  // It cannot be found any more; `name` is the hash of what it held.
  virtual void lost(BlockId, BlockHash) {}
  // None can: the cache was emptied by hand.
  virtual void cleared() {}
};

}  // namespace folio::kv
