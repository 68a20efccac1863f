// PrefixIndex: finds the resident block that holds given tokens after a given prefix.
//
// An entry is a block with what it holds: its tokens, the block before it (the parent) and its chained hash.
// find() compares all of them, never the hash alone, and a parent is a block, not a number: by induction from
// the root equal means equal, so two prefixes whose hashes collide are two entries, and a collision costs
// time, never a wrong answer. (The salt is compared by its 128-bit root only: it keeps tenants apart, the
// bits do not depend on it.)
//
// That induction needs a resident parent for every entry; KvCache keeps it: whoever pins a block through a
// table also pins its parent, and a parent is released after its children, hence evicted after them.
//
// Structure: buckets of blocks, chained through one array. Chosen over open addressing because a block leaves
// in O(1) without tombstones, so the index cannot decay in a long run. A second set of buckets, by the
// parent's hash, holds the blocks that follow the same prefix (siblings), the newest first.
//
// An entry has a stamp, which no other entry ever had: who remembers a block with its stamp can tell in O(1)
// whether the block still holds what it held, and that all before it do, for they leave after it.
//
// Thread rule: the pool's thread. Memory: taken at creation, (block_tokens * 4 + 72) bytes per block.
// Cost: find, find_partial, insert and erase are O(block_tokens), allocating nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "kv/block_list.h"
#include "kv/prefix_hash.h"

namespace folio::kv {

enum class PrefixCaching { kOn, kOff };  // kOff: nothing enters the index, every match is empty

// What a full block holds. For the first block of a sequence, parent is kNoBlock and parent_hash the root.
struct PrefixKey {
  BlockHash hash;
  BlockHash parent_hash;
  BlockId parent = kNoBlock;
  std::span<const TokenId> tokens;  // block_tokens of them
};

// A block whose first `tokens` tokens are the ones looked for, and whose next is not.
struct PartialHit {
  BlockId block;
  std::size_t tokens;
};

class PrefixIndex {
 public:
  // How many siblings find_partial() looks at.
  static constexpr std::size_t kMaxSiblings = 64;

  PrefixIndex(std::size_t blocks, std::size_t block_tokens);
  // What it takes at creation.
  static std::size_t bytes(std::size_t blocks, std::size_t block_tokens);

  std::size_t size() const { return size_; }
  bool contains(BlockId block) const { return stamp(block) != 0; }
  std::uint64_t stamp(BlockId block) const { return entries_[raw(block)].stamp; }  // 0: it is no entry
  // Requires: contains(block).
  BlockHash hash(BlockId block) const { return entries_[raw(block)].hash; }
  BlockId parent(BlockId block) const { return entries_[raw(block)].parent; }
  std::span<const TokenId> tokens(BlockId block) const;

  std::optional<BlockId> find(const PrefixKey& key) const;
  // Of the blocks that follow the prefix (parent_hash, parent), the one that begins with the most of
  // `tokens`; of equals the newest. Looks at the newest kMaxSiblings only: it is a saving, not a promise.
  // nullopt: none begins with even the first.
  std::optional<PartialHit> find_partial(BlockHash parent_hash, BlockId parent,
                                         std::span<const TokenId> tokens) const;
  // Requires: !contains(block), !find(key), and the parent is kNoBlock or an entry.
  void insert(const PrefixKey& key, BlockId block);
  // Requires: contains(block).
  void erase(BlockId block);

  // Proves that buckets and entries agree: each entry in its own bucket once, parents present, no two entries
  // for one key among bucket neighbours. Cost: O(blocks). Errors: kInvalid naming the first block that is
  // wrong.
  [[nodiscard]] Status check_integrity() const;

 private:
  struct Entry {
    BlockHash hash;
    BlockHash parent_hash;
    BlockId parent = kNoBlock;
    BlockId next = kNoBlock;                     // in its bucket
    BlockId older = kNoBlock, newer = kNoBlock;  // in its parent's bucket
    std::uint64_t stamp = 0;                     // 0: none
  };

  std::size_t bucket(BlockHash hash) const { return hash.value.low & (buckets_.size() - 1); }
  bool matches(BlockId block, const PrefixKey& key) const;
  void link_sibling(BlockId block);
  void unlink_sibling(BlockId block);
  Status check_siblings() const;

  std::size_t block_tokens_;
  std::size_t size_ = 0;
  std::uint64_t next_stamp_ = 1;
  std::vector<Entry> entries_;     // one per block of the pool
  std::vector<TokenId> tokens_;    // [blocks, block_tokens]
  std::vector<BlockId> buckets_;   // a power of two, at least as many as blocks
  std::vector<BlockId> siblings_;  // as many: the newest entry with a parent hash of this bucket
};

}  // namespace folio::kv
