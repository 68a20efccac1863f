// PendingPrefixes: the full blocks that somebody is computing right now, by name. Whoever wants such a block
// waits for it instead of computing it too.
//
// A claim belongs to one sequence and ends when its block is published, or when the sequence gives up its
// blocks: then whoever asks first computes the rest. Names are hashes alone: if two prefixes collide, one
// waits for nothing, for a while; what it then gets is compared token by token like every hit.
//
// Thread rule: the cache's thread. Memory: one entry per claimed block. Cost: O(1) per block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "kv/prefix_hash.h"

namespace folio::kv {

class PendingPrefixes {
 public:
  struct Owner {
    std::uint64_t serial;
    std::uint64_t label;  // what others know it by
  };

  // Nothing happens where somebody else claims the block already.
  void claim(BlockHash block, const Owner& owner) { claims_.try_emplace(block, owner); }
  // Nothing happens where `owner` has no claim.
  void drop(BlockHash block, std::uint64_t serial) {
    const auto at = claims_.find(block);
    if (at != claims_.end() && at->second.serial == serial) claims_.erase(at);
  }
  // The label of who claims it; nullopt: nobody does.
  std::optional<std::uint64_t> owner(BlockHash block) const {
    const auto at = claims_.find(block);
    return at == claims_.end() ? std::nullopt : std::optional(at->second.label);
  }
  bool contains(BlockHash block) const { return claims_.contains(block); }
  std::size_t size() const { return claims_.size(); }

 private:
  struct Low {
    std::size_t operator()(BlockHash hash) const { return hash.value.low; }
  };
  std::unordered_map<BlockHash, Owner, Low> claims_;
};

}  // namespace folio::kv
