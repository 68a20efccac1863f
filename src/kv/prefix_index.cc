#include "kv/prefix_index.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace folio::kv {

namespace {

std::size_t buckets_for(std::size_t blocks) { return std::bit_ceil(std::max<std::size_t>(blocks, 1)); }

}  // namespace

std::size_t PrefixIndex::bytes(std::size_t blocks, std::size_t block_tokens) {
  return blocks * (sizeof(Entry) + block_tokens * sizeof(TokenId)) +
         2 * buckets_for(blocks) * sizeof(BlockId);
}

PrefixIndex::PrefixIndex(std::size_t blocks, std::size_t block_tokens)
    : block_tokens_(block_tokens),
      entries_(blocks),
      tokens_(blocks * block_tokens),
      buckets_(buckets_for(blocks), kNoBlock),
      siblings_(buckets_.size(), kNoBlock) {}

std::span<const TokenId> PrefixIndex::tokens(BlockId block) const {
  return std::span(tokens_).subspan(raw(block) * block_tokens_, block_tokens_);
}

bool PrefixIndex::matches(BlockId block, const PrefixKey& key) const {
  const Entry& entry = entries_[raw(block)];
  return entry.hash == key.hash && entry.parent == key.parent && entry.parent_hash == key.parent_hash &&
         std::ranges::equal(tokens(block), key.tokens);
}

std::optional<BlockId> PrefixIndex::find(const PrefixKey& key) const {
  for (BlockId block = buckets_[bucket(key.hash)]; block != kNoBlock; block = entries_[raw(block)].next)
    if (matches(block, key)) return block;
  return std::nullopt;
}

std::optional<PartialHit> PrefixIndex::find_partial(BlockHash parent_hash, BlockId parent,
                                                    std::span<const TokenId> wanted) const {
  std::optional<PartialHit> best;
  std::size_t looked = 0;
  for (BlockId block = siblings_[bucket(parent_hash)]; block != kNoBlock && looked < kMaxSiblings;
       block = entries_[raw(block)].older, ++looked) {
    const Entry& entry = entries_[raw(block)];
    if (entry.parent != parent || !(entry.parent_hash == parent_hash)) continue;
    const auto [at, end] = std::ranges::mismatch(tokens(block), wanted);
    const auto common = static_cast<std::size_t>(end - wanted.begin());
    if (common > (best ? best->tokens : 0)) best = {.block = block, .tokens = common};
  }
  return best;
}

void PrefixIndex::link_sibling(BlockId block) {
  Entry& entry = entries_[raw(block)];
  BlockId& newest = siblings_[bucket(entry.parent_hash)];
  entry.older = newest;
  if (newest != kNoBlock) entries_[raw(newest)].newer = block;
  newest = block;
}

void PrefixIndex::unlink_sibling(BlockId block) {
  const Entry& entry = entries_[raw(block)];
  (entry.newer == kNoBlock ? siblings_[bucket(entry.parent_hash)] : entries_[raw(entry.newer)].older) =
      entry.older;
  if (entry.older != kNoBlock) entries_[raw(entry.older)].newer = entry.newer;
}

void PrefixIndex::insert(const PrefixKey& key, BlockId block) {
  FOLIO_CHECK(!contains(block), "a block holds one content");
  FOLIO_CHECK(key.tokens.size() == block_tokens_, "only full blocks are found again");
  FOLIO_CHECK(key.parent == kNoBlock || contains(key.parent), "a block whose past is not resident");
  BlockId& head = buckets_[bucket(key.hash)];
  entries_[raw(block)] = {.hash = key.hash,
                          .parent_hash = key.parent_hash,
                          .parent = key.parent,
                          .next = head,
                          .stamp = next_stamp_++};
  std::ranges::copy(key.tokens, tokens_.begin() + static_cast<std::ptrdiff_t>(raw(block) * block_tokens_));
  head = block;
  link_sibling(block);
  ++size_;
}

void PrefixIndex::erase(BlockId block) {
  FOLIO_CHECK(contains(block), "erasing a block that is not in the index");
  BlockId* link = &buckets_[bucket(entries_[raw(block)].hash)];
  while (*link != block) link = &entries_[raw(*link)].next;
  *link = entries_[raw(block)].next;
  unlink_sibling(block);
  entries_[raw(block)] = {};
  --size_;
}

Status PrefixIndex::check_integrity() const {
  std::size_t chained = 0;
  for (std::size_t at = 0; at < buckets_.size(); ++at) {
    for (BlockId block = buckets_[at]; block != kNoBlock; block = entries_[raw(block)].next) {
      if (raw(block) >= entries_.size() || ++chained > size_)
        return fail(ErrorKind::kInvalid, "prefix index: bucket {} does not end", at);
      const Entry& entry = entries_[raw(block)];
      if (!contains(block) || bucket(entry.hash) != at)
        return fail(ErrorKind::kInvalid, "prefix index: block {} is in bucket {}, where it does not belong",
                    raw(block), at);
      if (entry.parent != kNoBlock && !contains(entry.parent))
        return fail(ErrorKind::kInvalid, "prefix index: block {} follows block {}, which is not resident",
                    raw(block), raw(entry.parent));
      const PrefixKey key{entry.hash, entry.parent_hash, entry.parent, tokens(block)};
      if (find(key) != block)
        return fail(ErrorKind::kInvalid, "prefix index: block {} holds what another block holds", raw(block));
    }
  }
  const auto absent = static_cast<std::size_t>(std::ranges::count(entries_, 0U, &Entry::stamp));
  const std::size_t present = entries_.size() - absent;
  if (chained != size_ || present != size_)
    return fail(ErrorKind::kInvalid, "prefix index: {} entries, {} in buckets, {} counted", present, chained,
                size_);
  return check_siblings();
}

Status PrefixIndex::check_siblings() const {
  std::size_t linked = 0;
  for (std::size_t at = 0; at < siblings_.size(); ++at) {
    BlockId newer = kNoBlock;
    for (BlockId block = siblings_[at]; block != kNoBlock;
         newer = block, block = entries_[raw(block)].older) {
      const Entry& entry = entries_[raw(block)];
      if (++linked > size_ || !contains(block) || entry.newer != newer || bucket(entry.parent_hash) != at)
        return fail(ErrorKind::kInvalid, "prefix index: block {} is not where its siblings are", raw(block));
    }
  }
  if (linked != size_)
    return fail(ErrorKind::kInvalid, "prefix index: {} of {} entries have siblings", linked, size_);
  return {};
}

}  // namespace folio::kv
