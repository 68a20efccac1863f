// SwapArea: room in RAM for the blocks of sequences that had to give theirs up, beside the pool. A block
// there is bytes and nothing else: nobody finds it, it serves one sequence's return.
//
// Thread rule: the cache's thread. Memory: slots * block_bytes of address space, committed as it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "platform/memory.h"

namespace folio::kv {

class SwapArea {
 public:
  // Slots over the whole of `arena`, which may be empty. Requires: block_bytes > 0.
  SwapArea(platform::Arena arena, std::size_t block_bytes)
      : arena_(std::move(arena)), block_bytes_(block_bytes), slots_(arena_.size() / block_bytes) {
    free_.reserve(slots_);
    for (std::size_t slot = slots_; slot-- > 0;) free_.push_back(static_cast<std::uint32_t>(slot));
  }

  static constexpr std::size_t metadata_bytes(std::size_t slots) { return slots * sizeof(std::uint32_t); }

  std::size_t slots() const { return slots_; }
  std::size_t free_slots() const { return free_.size(); }

  // Requires: free_slots() > 0.
  std::uint32_t take() {
    FOLIO_CHECK(!free_.empty(), "no room in the swap area");
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void give_back(std::uint32_t slot) { free_.push_back(slot); }
  std::span<std::byte> data(std::uint32_t slot) {
    return {arena_.data() + slot * block_bytes_, block_bytes_};
  }

 private:
  platform::Arena arena_;
  std::size_t block_bytes_;
  std::size_t slots_;
  std::vector<std::uint32_t> free_;
};

// The computed tokens of one sequence that gave up its blocks: those of blocks [first_block, ...), the ones
// before it being in use by others at that time. Move-only; gives its slots back when it dies; the area
// outlives it.
class SwappedKv {
 public:
  SwappedKv(SwapArea& area, std::size_t first_block, std::size_t computed)
      : area_(&area), first_block_(first_block), computed_(computed) {}
  SwappedKv(SwappedKv&& other) noexcept
      : area_(other.area_),
        first_block_(other.first_block_),
        computed_(other.computed_),
        slots_(std::exchange(other.slots_, {})) {}
  SwappedKv& operator=(SwappedKv&& other) noexcept {
    std::swap(area_, other.area_);
    std::swap(first_block_, other.first_block_);
    std::swap(computed_, other.computed_);
    std::swap(slots_, other.slots_);
    return *this;
  }
  ~SwappedKv() {
    for (std::uint32_t slot : slots_) area_->give_back(slot);
  }

  std::size_t first_block() const { return first_block_; }
  std::size_t computed() const { return computed_; }  // tokens
  std::size_t blocks() const { return slots_.size(); }

  std::span<std::byte> add() {
    slots_.push_back(area_->take());
    return area_->data(slots_.back());
  }
  std::span<const std::byte> block(std::size_t index) const {
    return area_->data(slots_[index - first_block_]);
  }

 private:
  SwapArea* area_;
  std::size_t first_block_;
  std::size_t computed_;
  std::vector<std::uint32_t> slots_;
};

}  // namespace folio::kv
