// Claims: sequences say which blocks they are about to compute, so that others wait instead of computing them
// too. KvCache::claims() has a cache's.
//
//   claims.awaited(kv, prompt)    another sequence computes the next block right now: wait, ask again
//   cache.match(kv, prompt)       nobody does: begin with what is there
//   claims.claim(kv, prompt)      from here on others wait for this sequence
//
// A claim ends when its block is published, or when the sequence gives up its blocks, looks for a prefix
// anew, or dies: then whoever asks first computes the rest. Nothing depends on claims but who computes what:
// a wrong one costs a wait.
//
// Thread rule: the cache's thread. Ownership: none; group and names outlive it.
#pragma once

#include <optional>
#include <span>

#include "base/ids.h"
#include "kv/kv_group.h"
#include "kv/pending_prefixes.h"
#include "kv/prefix_index.h"
#include "kv/sequence_kv.h"

namespace folio::kv {

class Claims {
 public:
  // Of sequences whose claims `pending` holds. With PrefixCaching::kOff nobody could use another's blocks, so
  // nothing is claimed.
  Claims(PrefixCaching prefix_caching, const KvGeometry& geometry, KvGroup& group, PendingPrefixes& pending)
      : prefix_caching_(prefix_caching), geometry_(geometry), group_(group), pending_(pending) {}

  // If another sequence is computing the block after what match() would find: the name of the last block of
  // `tokens` that is claimed without a gap from there. nullopt: there is nothing to wait for.
  // Requires: `sequence` is empty; `tokens` begins with what earlier calls were given. Cost: that of a
  // look-up of what came since the last, and O(1) per claimed block.
  std::optional<BlockHash> awaited(SequenceKv& sequence, std::span<const TokenId> tokens);

  // Is the block still being computed? False: it is there, or was given up.
  bool is_pending(BlockHash block) const { return pending_.contains(block); }
  // The owner of the sequence that claims it; nullopt: nobody does.
  std::optional<SequenceId> claimant(BlockHash block) const { return pending_.owner(block); }

  // `sequence` will compute the full blocks of `tokens` that are not published yet. Those that another claims
  // stay the other's. Allocates.
  void claim(SequenceKv& sequence, std::span<const TokenId> tokens);

 private:
  PrefixCaching prefix_caching_;
  const KvGeometry& geometry_;
  KvGroup& group_;
  PendingPrefixes& pending_;
};

}  // namespace folio::kv
