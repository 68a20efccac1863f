// BlockTable: one sequence's blocks in order; token p lies in block p / block_tokens, at p % block_tokens.
//
//   tokens   0 ........ 15 | 16 ........ 31 | 32 .. 36
//   ids()        block 7   |     block 2    |  block 9      <- what kernels read, as it is
//
// The table holds one pin per entry. It only grows at the end or is truncated; the two ways an entry is
// exchanged keep what the kernels read: a private copy before a write, or the same contents found elsewhere.
//
// Thread rule: the pool's thread. Ownership: pins; the pool outlives the table.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/ids.h"
#include "kv/block_pool.h"

namespace folio::kv {

class BlockTable {
 public:
  // No allocation happens while the table has at most `capacity_blocks` blocks. Requires: block_tokens > 0.
  BlockTable(BlockPool& pool, std::size_t block_tokens, std::size_t capacity_blocks);
  BlockTable(BlockTable&& other) noexcept;
  BlockTable& operator=(BlockTable&& other) noexcept;
  ~BlockTable() { truncate(0); }

  std::span<const BlockId> ids() const { return ids_; }
  std::size_t blocks() const { return ids_.size(); }
  std::size_t block_tokens() const { return block_tokens_; }
  std::size_t block_capacity() const { return ids_.capacity(); }  // blocks that it holds without allocating
  std::size_t token_capacity() const { return ids_.size() * block_tokens_; }

  void append(BlockRef&& block);
  // Requires: index < blocks(), `block` holds (or is about to be given) the contents of the entry it
  // replaces.
  void replace(std::size_t index, BlockRef&& block);
  // Keeps the blocks that hold tokens [0, tokens). Releases the last block first, so that the pool evicts the
  // end of a prefix before its beginning.
  void truncate(std::size_t tokens);

  // Would writing token `position` change a block that somebody else reads, or that the index can hand out?
  // Requires: position < token_capacity().
  bool needs_copy(std::size_t position) const;

  // A second table of the first `blocks` blocks, with a pin of its own on each. Requires: blocks <= blocks().
  [[nodiscard]] BlockTable share(std::size_t blocks, std::size_t capacity_blocks) const;

 private:
  BlockPool* pool_;
  std::size_t block_tokens_;
  std::vector<BlockId> ids_;
};

}  // namespace folio::kv
