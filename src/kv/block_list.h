// BlockList: a doubly linked list threaded through one array of links, so that a block moves between lists,
// or leaves from the middle, in O(1) and without allocation. A block is on at most one list of its array.
//
// Thread rule: none of its own; the pool's owner is the only user.
#pragma once

#include <cstddef>
#include <span>

#include "base/check.h"
#include "base/ids.h"

namespace folio::kv {

inline constexpr BlockId kNoBlock{0xFFFF'FFFF};

struct BlockLink {
  BlockId previous = kNoBlock;
  BlockId next = kNoBlock;
};

class BlockList {
 public:
  // `links` has one entry per block of the pool and outlives the list.
  explicit BlockList(std::span<BlockLink> links) : links_(links) {}

  std::size_t size() const { return size_; }
  BlockId front() const { return front_; }  // kNoBlock when empty
  BlockId back() const { return back_; }
  BlockId next(BlockId block) const { return links_[raw(block)].next; }  // kNoBlock after the last
  BlockId previous(BlockId block) const { return links_[raw(block)].previous; }

  // Requires: `block` is on no list.
  void push_front(BlockId block) {
    links_[raw(block)] = {.previous = kNoBlock, .next = front_};
    (front_ == kNoBlock ? back_ : links_[raw(front_)].previous) = block;
    front_ = block;
    ++size_;
  }
  void push_back(BlockId block) {
    links_[raw(block)] = {.previous = back_, .next = kNoBlock};
    (back_ == kNoBlock ? front_ : links_[raw(back_)].next) = block;
    back_ = block;
    ++size_;
  }

  // Requires: `block` is on this list.
  void erase(BlockId block) {
    FOLIO_DCHECK(size_ > 0, "erasing from an empty list");
    const BlockLink link = links_[raw(block)];
    (link.previous == kNoBlock ? front_ : links_[raw(link.previous)].next) = link.next;
    (link.next == kNoBlock ? back_ : links_[raw(link.next)].previous) = link.previous;
    links_[raw(block)] = {};
    --size_;
  }

 private:
  std::span<BlockLink> links_;
  BlockId front_ = kNoBlock;
  BlockId back_ = kNoBlock;
  std::size_t size_ = 0;
};

}  // namespace folio::kv
