#include "kv/cost_evictor.h"

#include <algorithm>

#include "base/check.h"

namespace folio::kv {

CostEvictor::CostEvictor(std::size_t blocks, double attention_share)
    : attention_share_(attention_share), entries_(blocks) {
  heap_.reserve(blocks);
}

void CostEvictor::keep(BlockId block, const BlockWorth& worth) {
  Entry& entry = entries_[raw(block)];
  entry.unused_cost = 1 + attention_share_ * static_cast<double>(worth.first_token);
  entry.parent = worth.parent;
}

void CostEvictor::add(BlockId block) {
  Entry& entry = entries_[raw(block)];
  FOLIO_CHECK(entry.place == kNowhere, "a block was cached twice");
  const double cost = entry.unused_cost * (1 + static_cast<double>(entry.uses));
  entry.score = std::max(clock_ + cost, entry.floor);
  entry.serial = next_serial_++;
  if (entry.parent != kNoBlock) {
    Entry& parent = entries_[raw(entry.parent)];
    parent.floor = std::max(parent.floor, entry.score);
  }
  heap_.push_back(block);
  put(heap_.size() - 1, block);
  rise(heap_.size() - 1);
}

void CostEvictor::remove(BlockId block) {
  const std::size_t place = entries_[raw(block)].place;
  FOLIO_CHECK(place < heap_.size() && heap_[place] == block, "a block was not cached");
  entries_[raw(block)].place = kNowhere;
  const BlockId last = heap_.back();
  heap_.pop_back();
  if (last == block) return;
  put(place, last);
  rise(place);
  sink(entries_[raw(last)].place);
}

void CostEvictor::forget(BlockId block) {
  Entry& entry = entries_[raw(block)];
  clock_ = std::max(clock_, entry.score);
  entry = {};
}

std::vector<BlockId> CostEvictor::order() const {
  std::vector<BlockId> blocks = heap_;
  std::ranges::sort(blocks, [this](BlockId a, BlockId b) { return before(a, b); });
  return blocks;
}

bool CostEvictor::before(BlockId a, BlockId b) const {
  const Entry &left = entries_[raw(a)], &right = entries_[raw(b)];
  return left.score != right.score ? left.score < right.score : left.serial < right.serial;
}

void CostEvictor::put(std::size_t place, BlockId block) {
  heap_[place] = block;
  entries_[raw(block)].place = static_cast<std::uint32_t>(place);
}

void CostEvictor::rise(std::size_t place) {
  const BlockId block = heap_[place];
  for (; place > 0 && before(block, heap_[(place - 1) / 2]); place = (place - 1) / 2)
    put(place, heap_[(place - 1) / 2]);
  put(place, block);
}

void CostEvictor::sink(std::size_t place) {
  const BlockId block = heap_[place];
  for (;;) {
    std::size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], block)) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, block);
}

}  // namespace folio::kv
