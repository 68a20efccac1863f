#include "kv/block_table.h"

#include <utility>

#include "base/check.h"

namespace folio::kv {

BlockTable::BlockTable(BlockPool& pool, std::size_t block_tokens, std::size_t capacity_blocks)
    : pool_(&pool), block_tokens_(block_tokens) {
  FOLIO_CHECK(block_tokens > 0, "blocks of no tokens");
  ids_.reserve(capacity_blocks);
}

BlockTable::BlockTable(BlockTable&& other) noexcept
    : pool_(other.pool_), block_tokens_(other.block_tokens_), ids_(std::exchange(other.ids_, {})) {}

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(block_tokens_, other.block_tokens_);
  std::swap(ids_, other.ids_);
  return *this;
}

void BlockTable::append(BlockRef&& block) { ids_.push_back(pool_->adopt(std::move(block))); }

void BlockTable::replace(std::size_t index, BlockRef&& block) {
  FOLIO_CHECK(index < ids_.size(), "replacing a block beyond the end of a table");
  pool_->unpin(std::exchange(ids_[index], pool_->adopt(std::move(block))));
}

void BlockTable::truncate(std::size_t tokens) {
  const std::size_t kept_blocks = tokens / block_tokens_ + (tokens % block_tokens_ != 0);
  while (ids_.size() > kept_blocks) {
    pool_->unpin(ids_.back());
    ids_.pop_back();
  }
}

bool BlockTable::needs_copy(std::size_t position) const {
  FOLIO_CHECK(position < token_capacity(), "asking about a token beyond the end of a table");
  const BlockId block = ids_[position / block_tokens_];
  return pool_->pins(block) > 1 || pool_->kept(block);
}

BlockTable BlockTable::share(std::size_t blocks, std::size_t capacity_blocks) const {
  FOLIO_CHECK(blocks <= ids_.size(), "sharing more blocks than there are");
  BlockTable copy(*pool_, block_tokens_, capacity_blocks);
  for (BlockId block : ids().first(blocks)) copy.append(pool_->pin(block));
  return copy;
}

}  // namespace folio::kv
