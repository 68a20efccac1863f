// CostEvictor: GreedyDual. A block's score is the clock when it was last used, plus what losing it would
// cost; the least score goes first, and the clock is the score of the last block lost. So a dear block
// outlives cheap ones of its age, but not for ever: everything that comes later starts from a later clock.
//
//   cost = (1 + attention_share * first_token) * (1 + uses)      all blocks have equal bytes
//
// A parent's score is at least that of its cached children, and of equal scores the earlier added goes first;
// children are added before their parent: so they go before it, too.
//
// Cost: O(log blocks), no allocation.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/evictor.h"

namespace folio::kv {

class CostEvictor final : public Evictor {
 public:
  static constexpr std::size_t bytes_per_block() { return sizeof(Entry) + sizeof(BlockId); }
  CostEvictor(std::size_t blocks, double attention_share);

  void keep(BlockId block, const BlockWorth& worth) override;
  void used(BlockId block) override { ++entries_[raw(block)].uses; }
  void add(BlockId block) override;
  void remove(BlockId block) override;
  void forget(BlockId block) override;
  BlockId first() const override { return heap_.empty() ? kNoBlock : heap_.front(); }
  std::size_t size() const override { return heap_.size(); }
  std::vector<BlockId> order() const override;

 private:
  static constexpr std::uint32_t kNowhere = 0xFFFF'FFFF;

  struct Entry {
    double score = 0;
    double floor = 0;  // the largest score of a child added since it holds what it holds
    std::uint64_t serial = 0;
    double unused_cost = 0;  // of a block that nobody used
    BlockId parent = kNoBlock;
    std::uint32_t uses = 0;
    std::uint32_t place = kNowhere;  // in the heap
  };

  bool before(BlockId a, BlockId b) const;
  void put(std::size_t place, BlockId block);
  void rise(std::size_t place);
  void sink(std::size_t place);

  double attention_share_;
  double clock_ = 0;
  std::uint64_t next_serial_ = 0;
  std::vector<Entry> entries_;  // by block
  std::vector<BlockId> heap_;   // the first to go in front
};

}  // namespace folio::kv
