// BlockPool: a fixed arena of equal blocks, from start-up to shutdown. It knows who pins a block and which
// unpinned ones are worth keeping; it knows nothing of tokens.
//
// Invariant: every block is exactly one of
//   free     pins == 0, not kept   on the free list
//   cached   pins == 0, kept       with the evictor, which says who goes first
//   in use   pins  > 0             with neither; kept or not
// `kept` means that somebody (the prefix index) can find the block again; the pool tells the EvictionListener
// before it takes such a block away.
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

// A pin: while it lives its block is neither evicted nor reused. Move-only; share() makes a second pin in
// plain sight. The pool outlives it.
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
  [[nodiscard]] BlockRef share() const;

 private:
  friend class BlockPool;
  BlockRef(BlockPool* pool, BlockId id) : pool_(pool), id_(id) {}

  BlockPool* pool_;  // null after a move
  BlockId id_;
};

// Told of each cached block just before the pool reuses it.
class EvictionListener {
 public:
  virtual void on_evict(BlockId block) = 0;
  // Asked when a block becomes cached: what would losing it cost?
  virtual BlockWorth worth(BlockId) const { return {}; }

 protected:
  ~EvictionListener() = default;
};

class BlockPool {
 public:
  // Blocks of `block_bytes` over the whole of `arena`, all free. The listener outlives the pool. Without an
  // evictor the least recently used block goes first.
  // Requires: block_bytes > 0 and a multiple of 64; at most kMaxBlocks blocks fit into the arena.
  static constexpr std::size_t kMaxBlocks = 0x7FFF'FFFF;
  BlockPool(platform::Arena arena, std::size_t block_bytes, EvictionListener& listener,
            std::unique_ptr<Evictor> evictor = nullptr);
  ~BlockPool();  // Requires: no pin is left.
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // A block with unspecified contents: a free one, else the evictor's first, which is lost. nullopt: all
  // blocks are in use.
  [[nodiscard]] std::optional<BlockRef> acquire();

  // A pin on a block that is cached or in use. Requires: it is not free.
  [[nodiscard]] BlockRef pin(BlockId block);

  // From now on the block is cached, not freed, when its last pin goes. Requires: in use and not kept.
  void keep(BlockId block);
  // Takes keep() back; a cached block becomes free. Does not call the listener. Requires: kept.
  void forget(BlockId block);

  std::size_t blocks() const { return states_.size(); }
  std::size_t free_blocks() const { return free_.size(); }
  std::size_t cached_blocks() const { return cached_->size(); }
  std::size_t in_use_blocks() const { return blocks() - free_blocks() - cached_blocks(); }
  std::size_t obtainable_blocks() const { return free_blocks() + cached_blocks(); }  // by acquire()

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

  // Pins held by live BlockRef objects, that is by nobody's table.
  std::size_t loose_pins() const { return loose_pins_; }

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
  EvictionListener& listener_;
  std::vector<State> states_;
  std::vector<BlockLink> links_;
  BlockList free_;  // last released first: its memory is committed and may be in a CPU cache
  std::unique_ptr<Evictor> cached_;
  std::size_t loose_pins_ = 0;
};

}  // namespace folio::kv
