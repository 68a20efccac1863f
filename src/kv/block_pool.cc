#include "kv/block_pool.h"

#include "base/check.h"

namespace folio::kv {

BlockRef::~BlockRef() {
  if (pool_ != nullptr) pool_->unpin(id_);
}

BlockPool::BlockPool(platform::Arena arena, std::size_t block_bytes, std::unique_ptr<Evictor> evictor)
    : arena_(std::move(arena)),
      block_bytes_(block_bytes),
      states_(arena_.size() / block_bytes),
      links_(states_.size()),
      free_(links_),
      cached_(std::move(evictor)) {
  FOLIO_CHECK(cached_ != nullptr, "a pool without an order of eviction");
  FOLIO_CHECK(block_bytes % 64 == 0, "blocks start on cache lines");
  FOLIO_CHECK(states_.size() <= kMaxBlocks, "more blocks than a BlockId counts");
  for (std::size_t block = 0; block < states_.size(); ++block) free_.push_back(static_cast<BlockId>(block));
}

BlockPool::~BlockPool() { FOLIO_CHECK(in_use_blocks() == 0, "a pin outlives its pool"); }

std::optional<BlockRef> BlockPool::acquire() {
  if (free_.size() == 0) return std::nullopt;
  const BlockId block = free_.front();
  free_.erase(block);
  states_[raw(block)].pins = 1;
  return BlockRef(this, block);
}

BlockRef BlockPool::pin(BlockId block) {
  add_pin(block);
  return BlockRef(this, block);
}

void BlockPool::keep(BlockId block, const BlockWorth& worth) {
  State& state = states_[raw(block)];
  FOLIO_CHECK(state.pins > 0 && !state.kept, "only a block in use can become worth keeping, and only once");
  state.kept = true;
  cached_->keep(block, worth);
}

void BlockPool::used(BlockId block) {
  FOLIO_DCHECK(kept(block), "a use of what cannot be found");
  cached_->used(block);
}

void BlockPool::forget(BlockId block) {
  State& state = states_[raw(block)];
  FOLIO_CHECK(state.kept, "forgetting a block that was not kept");
  state.kept = false;
  if (state.pins == 0) {
    cached_->remove(block);
    free_.push_front(block);
  }
  cached_->forget(block);
}

void BlockPool::add_pin(BlockId block) {
  State& state = states_[raw(block)];
  FOLIO_CHECK(state.pins > 0 || state.kept, "pinning a free block");
  if (state.pins == 0) cached_->remove(block);
  ++state.pins;
}

void BlockPool::unpin(BlockId block) {
  State& state = states_[raw(block)];
  FOLIO_CHECK(state.pins > 0, "a pin was released twice");
  if (--state.pins > 0) return;
  if (state.kept) {
    cached_->add(block);
  } else {
    free_.push_front(block);
  }
}

BlockId BlockPool::adopt(BlockRef&& ref) {
  FOLIO_CHECK(ref.pool_ == this, "a pin of another pool, or one that was moved away");
  ref.pool_ = nullptr;
  return ref.id_;
}

Status BlockPool::check_integrity() const {
  std::vector<bool> listed(blocks(), false);
  // A member of a list must be unpinned, kept or not as the list says, and listed nowhere else.
  const auto enter = [&](BlockId block, bool kept, const char* name) -> Status {
    if (raw(block) >= blocks())
      return fail(ErrorKind::kInvalid, "KV pool: no such block {} on the {} list", raw(block), name);
    if (listed[raw(block)]) return fail(ErrorKind::kInvalid, "KV pool: block {} is listed twice", raw(block));
    listed[raw(block)] = true;
    const State& state = states_[raw(block)];
    if (state.pins != 0 || state.kept != kept)
      return fail(ErrorKind::kInvalid, "KV pool: block {} is on the {} list with {} pins, {}kept", raw(block),
                  name, state.pins, state.kept ? "" : "not ");
    return {};
  };
  std::size_t free = 0;
  BlockId previous = kNoBlock;
  for (BlockId block = free_.front(); block != kNoBlock;
       previous = block, block = free_.next(block), ++free) {
    FOLIO_TRY_STATUS(enter(block, false, "free"));
    if (free_.previous(block) != previous)
      return fail(ErrorKind::kInvalid, "KV pool: block {} does not follow block {}", raw(block),
                  raw(previous));
  }
  if (free != free_.size() || free_.back() != previous)
    return fail(ErrorKind::kInvalid, "KV pool: {} blocks are free but {} counted", free, free_.size());
  for (BlockId block : cached_->order()) FOLIO_TRY_STATUS(enter(block, true, "cached"));
  for (std::size_t block = 0; block < blocks(); ++block)
    if (listed[block] != (states_[block].pins == 0))
      return fail(ErrorKind::kInvalid, "KV pool: block {} has {} pins and is on {} list", block,
                  states_[block].pins, listed[block] ? "a" : "no");
  return {};
}

}  // namespace folio::kv
