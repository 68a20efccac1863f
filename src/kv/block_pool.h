// BlockPool: a fixed arena of equal blocks, from start-up to shutdown. It knows who pins a block and which
// unpinned ones are worth keeping; it knows nothing of tokens.
//
// Invariant: every block is exactly one of
//   free     pins == 0, not kept   on the free list
//   cached   pins == 0, kept       with the evictor, which says who goes first
//   in use   pins  > 0             with neither; kept or not
// `kept` means that somebody (the prefix index) can find the block again. The pool takes no such block away
// by itself: it says which should go first, and whoever can find it forgets it.
//
// Thread rule: one thread, the engine's. Cost: every operation is O(1) besides the evictor's, and allocates
// nothing after creation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kv/block_list.h"
#include "kv/evictor.h"
#include "platform/memory.h"

namespace folio::kv {

class BlockPool;

// A pin: while it lives its block is neither evicted nor reused. Move-only. The pool outlives it.
class BlockRef {
 public:
  BlockRef(BlockRef&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), id_(other.id_) {}
  BlockRef& operator=(BlockRef&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~BlockRef();

  BlockId id() const { return id_; }

 private:
  friend class BlockPool;
  BlockRef(BlockPool* pool, BlockId id) : pool_(pool), id_(id) {}

  BlockPool* pool_;  // null after a move
  BlockId id_;
};

class BlockPool {
 public:
  static constexpr std::size_t kMaxBlocks = 0x7FFF'FFFF;
  // What it keeps of each block, beside the evictor.
  static constexpr std::size_t bytes_per_block() { return sizeof(State) + sizeof(BlockLink); }
  // Blocks of `block_bytes` over the whole of `arena`, all free.
  // Requires: block_bytes > 0 and a multiple of 64; at most kMaxBlocks blocks fit into the arena; an evictor.
  BlockPool(platform::Arena arena, std::size_t block_bytes, std::unique_ptr<Evictor> evictor);
  ~BlockPool();  // Requires: no pin is left.
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // A free block, its contents unspecified. nullopt: none is free; forget(first_victim()) makes one.
  [[nodiscard]] std::optional<BlockRef> acquire();

  // A pin on a block that is cached or in use. Requires: it is not free.
  [[nodiscard]] BlockRef pin(BlockId block);

  // From now on the block is cached, not freed, when its last pin goes. Requires: in use and not kept.
  void keep(BlockId block, const BlockWorth& worth);
  // Somebody found it and goes on from it: it is worth more. Requires: kept.
  void used(BlockId block);
  // Takes keep() back; a cached block becomes free, and is the next to be acquired. Requires: kept.
  void forget(BlockId block);

  std::size_t blocks() const { return states_.size(); }
  std::size_t free_blocks() const { return free_.size(); }
  std::size_t cached_blocks() const { return cached_->size(); }
  std::size_t in_use_blocks() const { return blocks() - free_blocks() - cached_blocks(); }
  std::size_t obtainable_blocks() const { return free_blocks() + cached_blocks(); }

  std::uint32_t pins(BlockId block) const { return states_[raw(block)].pins; }
  bool kept(BlockId block) const { return states_[raw(block)].kept; }
  // The cached block to go first, kNoBlock if none; and all of them in their order, for checks.
  BlockId first_victim() const { return cached_->first(); }
  std::vector<BlockId> victims() const { return cached_->order(); }

  std::size_t block_bytes() const { return block_bytes_; }
  std::byte* data(BlockId block) const { return arena_.data() + raw(block) * block_bytes_; }
  // The blocks' memory as a whole: block b is at [b * block_bytes, (b + 1) * block_bytes).
  std::span<std::byte> memory() const { return {arena_.data(), blocks() * block_bytes_}; }

  // Proves the invariant above from the arrays alone. Cost: O(blocks), no allocation beyond one bit per
  // block. Errors: kInvalid naming the first block that is wrong.
  [[nodiscard]] Status check_integrity() const;

 private:
  friend class BlockRef;
  friend class BlockTable;

  struct State {
    std::uint32_t pins = 0;
    bool kept = false;
  };

  void unpin(BlockId block);
  BlockId adopt(BlockRef&& ref);  // the caller owns the pin now, and unpins
  void add_pin(BlockId block);

  platform::Arena arena_;
  std::size_t block_bytes_;
  std::vector<State> states_;
  std::vector<BlockLink> links_;
  BlockList free_;  // last released first: its memory is committed and may be in a CPU cache
  std::unique_ptr<Evictor> cached_;
};

}  // namespace folio::kv
