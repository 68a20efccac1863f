// KvCache::check_integrity(): what must hold between pool, index and tables, whatever was done before.
#include <vector>

#include "kv/kv_cache.h"

namespace folio::kv {

Status KvCache::check_integrity() const {
  FOLIO_TRY_STATUS(pool_.check_integrity());
  FOLIO_TRY_STATUS(index_.check_integrity());
  FOLIO_TRY_STATUS(check_tables());
  return check_eviction_order();
}

// Pins are exactly the entries of the open sequences' tables; a block is kept exactly while it is in the
// index.
Status KvCache::check_tables() const {
  std::vector<std::uint32_t> entries(pool_.blocks(), 0);
  for (const SequenceKv* sequence : sequences_.all) {
    FOLIO_TRY_STATUS(check_table(*sequence));
    for (BlockId block : sequence->blocks()) ++entries[raw(block)];
  }
  for (std::size_t at = 0; at < pool_.blocks(); ++at) {
    const auto block = static_cast<BlockId>(at);
    if (pool_.pins(block) != entries[at])
      return fail(ErrorKind::kInvalid, "KV cache: block {} has {} pins, but {} table entries", at,
                  pool_.pins(block), entries[at]);
    if (pool_.kept(block) != index_.contains(block))
      return fail(ErrorKind::kInvalid, "KV cache: block {} is {}kept and {}in the index", at,
                  pool_.kept(block) ? "" : "not ", index_.contains(block) ? "" : "not ");
  }
  return {};
}

// Published blocks are in the index, each the parent of the next; blocks yet to be written belong to this
// table alone.
Status KvCache::check_table(const SequenceKv& sequence) const {
  const std::span<const BlockId> blocks = sequence.blocks();
  const std::size_t begun_blocks = geometry_.blocks_for(sequence.computed_);
  if (begun_blocks > blocks.size() || sequence.published_blocks_ > geometry_.full_blocks(sequence.computed_))
    return fail(ErrorKind::kInvalid,
                "KV cache: a table of {} blocks, {} of them published, for {} computed tokens", blocks.size(),
                sequence.published_blocks_, sequence.computed_);
  for (std::size_t i = 0; i < sequence.published_blocks_; ++i) {
    const BlockId parent = i == 0 ? kNoBlock : blocks[i - 1];
    if (!index_.contains(blocks[i]) || index_.parent(blocks[i]) != parent)
      return fail(ErrorKind::kInvalid,
                  "KV cache: block {} at entry {} is published, but not after the entry before",
                  raw(blocks[i]), i);
  }
  for (BlockId block : blocks.subspan(begun_blocks))
    if (pool_.pins(block) != 1 || pool_.kept(block))
      return fail(ErrorKind::kInvalid, "KV cache: block {} is yet to be written, but shared", raw(block));
  return {};
}

// Evicting in order never leaves an entry without its parent: a parent is in use, or goes after its children;
// and a block in use has its parent in use.
Status KvCache::check_eviction_order() const {
  std::vector<std::size_t> rank(pool_.blocks(), 0);  // 1 for the first to go; 0: not cached
  std::size_t next_rank = 1;
  for (BlockId block : pool_.victims()) rank[raw(block)] = next_rank++;
  for (std::size_t at = 0; at < pool_.blocks(); ++at) {
    const auto block = static_cast<BlockId>(at);
    if (!index_.contains(block) || index_.parent(block) == kNoBlock) continue;
    const BlockId parent = index_.parent(block);
    const bool parent_in_use = rank[raw(parent)] == 0;
    const bool goes_first = rank[at] != 0 && (parent_in_use || rank[at] < rank[raw(parent)]);
    if (!goes_first && !(rank[at] == 0 && parent_in_use))
      return fail(ErrorKind::kInvalid, "KV cache: block {} would stay after its parent {} is evicted", at,
                  raw(parent));
  }
  return {};
}

}  // namespace folio::kv
