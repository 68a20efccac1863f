// LruEvictor: the least recently released block goes first. Cost: O(1).
#pragma once

#include <vector>

#include "base/check.h"
#include "kv/evictor.h"

namespace folio::kv {

class LruEvictor final : public Evictor {
 public:
  static constexpr std::size_t bytes_per_block() { return sizeof(BlockLink); }
  explicit LruEvictor(std::size_t blocks) : links_(blocks), list_(links_) {}

  void keep(BlockId, const BlockWorth&) override {}
  void used(BlockId) override {}
  void add(BlockId block) override { list_.push_back(block); }
  void remove(BlockId block) override { list_.erase(block); }
  void forget(BlockId) override {}
  BlockId first() const override { return list_.front(); }
  std::size_t size() const override { return list_.size(); }
  std::vector<BlockId> order() const override {
    std::vector<BlockId> blocks;
    for (BlockId block = list_.front(); block != kNoBlock; block = list_.next(block)) {
      FOLIO_CHECK(blocks.size() < list_.size(), "the list of cached blocks does not end");
      blocks.push_back(block);
    }
    return blocks;
  }

 private:
  std::vector<BlockLink> links_;
  BlockList list_;
};

}  // namespace folio::kv
