// PendingPrefixes: the full blocks that somebody is computing right now, by name, and who. Whoever wants such
// a block waits for it instead of computing it too (claims.h).
//
// Names are hashes alone: if two prefixes collide, one waits for nothing, for a while; what it then gets is
// compared token by token like every hit.
//
// Thread rule: the cache's thread. Memory: one entry per claimed block. Cost: O(1) per block.
#pragma once

#include <cstddef>
#include <optional>
#include <unordered_map>

#include "base/ids.h"
#include "kv/prefix_hash.h"

namespace folio::kv {

class PendingPrefixes {
 public:
  // Nothing happens where somebody else claims the block already.
  void claim(BlockHash block, SequenceId owner) { claims_.try_emplace(block, owner); }
  // Nothing happens where `owner` has no claim.
  void drop(BlockHash block, SequenceId owner) {
    const auto at = claims_.find(block);
    if (at != claims_.end() && at->second == owner) claims_.erase(at);
  }
  // Who claims it; nullopt: nobody does.
  std::optional<SequenceId> owner(BlockHash block) const {
    const auto at = claims_.find(block);
    return at == claims_.end() ? std::nullopt : std::optional(at->second);
  }
  bool contains(BlockHash block) const { return claims_.contains(block); }
  std::size_t size() const { return claims_.size(); }

 private:
  struct Low {
    std::size_t operator()(BlockHash hash) const { return hash.value.low; }
  };
  std::unordered_map<BlockHash, SequenceId, Low> claims_;
};

}  // namespace folio::kv
