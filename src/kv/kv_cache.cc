#include "kv/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <ranges>
#include <utility>

#include "base/check.h"

namespace folio::kv {

Result<std::unique_ptr<KvCache>> KvCache::create(const KvCacheOptions& options) {
  const std::size_t block_bytes = options.geometry.block_bytes();
  if (options.blocks == 0)
    return fail(ErrorKind::kInvalid, "a KV cache needs at least one block of {} bytes", block_bytes);
  const std::size_t most =
      std::min(BlockPool::kMaxBlocks, std::numeric_limits<std::size_t>::max() / 2 / block_bytes);
  if (options.blocks > most)
    return fail(ErrorKind::kTooLarge,
                "a KV cache of {} blocks of {} bytes cannot be addressed; at most {} can", options.blocks,
                block_bytes, most);
  if (options.swap_blocks > most)
    return fail(ErrorKind::kTooLarge, "a swap area of {} blocks cannot be addressed; at most {} can",
                options.swap_blocks, most);
  constexpr auto kSpread = platform::Placement::kInterleaved;  // any thread may be the one that reads a block
  FOLIO_TRY(arena, platform::Arena::create(options.blocks * block_bytes, "KV blocks", kSpread));
  platform::Arena swap;
  if (options.swap_blocks > 0) {
    FOLIO_TRY(area, platform::Arena::create(options.swap_blocks * block_bytes, "KV swap area", kSpread));
    swap = std::move(area);
  }
  try {
    return std::unique_ptr<KvCache>(new KvCache(options, std::move(arena), std::move(swap)));
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::kTooLarge, "no memory for the tables of {} KV blocks; ask for fewer",
                options.blocks);
  }
}

std::size_t KvCache::metadata_bytes(const KvCacheOptions& options) {
  return options.blocks * (BlockPool::bytes_per_block() + evictor_bytes_per_block(options.eviction)) +
         PrefixIndex::bytes(options.blocks, options.geometry.block_tokens()) +
         SwapArea::metadata_bytes(options.swap_blocks);
}

KvCache::KvCache(const KvCacheOptions& options, platform::Arena arena, platform::Arena swap)
    : geometry_(options.geometry),
      namespace_root_(hash_root(options.name_space, "")),
      prefix_caching_(options.prefix_caching),
      hash_(options.hash),
      pool_(std::move(arena), geometry_.block_bytes(),
            make_evictor(options.eviction, options.blocks, options.attention_share)),
      index_(pool_.blocks(), geometry_.block_tokens()),
      group_(geometry_, index_),
      claims_(prefix_caching_, geometry_, group_, sequences_.pending),
      swap_(std::move(swap), geometry_.block_bytes()) {}

KvCache::~KvCache() { FOLIO_CHECK(sequences_.all.empty(), "a sequence outlives its cache"); }

SequenceKv KvCache::open(SequenceId owner, std::string_view salt, std::size_t capacity_tokens) {
  const std::size_t capacity_blocks = std::min(geometry_.blocks_for(capacity_tokens), pool_.blocks());
  const BlockHash root = hash_root(std::as_bytes(std::span(&namespace_root_, 1)), salt);
  return SequenceKv(sequences_, owner, BlockTable(pool_, geometry_.block_tokens(), capacity_blocks),
                    PrefixChain(root, hash_, geometry_.block_tokens(), capacity_blocks));
}

std::size_t KvCache::match(SequenceKv& sequence, std::span<const TokenId> tokens, Matching matching,
                           Partial partial) {
  look_up(sequence, tokens);
  sequence.drop_claims();
  sequence.queried_tokens_ = matching == Matching::kNew ? tokens.size() : 0;
  for (const FoundBlock& found : sequence.found_) sequence.table_.append(pool_.pin(found.block));
  sequence.published_blocks_ = sequence.found_.size();
  sequence.computed_ = sequence.published_blocks_ * geometry_.block_tokens();
  if (partial == Partial::kYes && can_match(tokens)) {
    const auto part = group_.partial_hit(sequence.chain_, tokens, sequence.found_, tokens.size() - 1);
    if (part) {
      sequence.table_.append(pool_.pin(part->block));
      sequence.computed_ += part->tokens;
    }
  }
  sequence.hit_tokens_ = sequence.computed_;
  return sequence.computed_;
}

// Whoever waits asks in every step: what an earlier look-up found is not looked up again.
void KvCache::look_up(SequenceKv& sequence, std::span<const TokenId> tokens) {
  FOLIO_CHECK(sequence.table_.blocks() == 0, "a match starts a sequence");
  if (can_match(tokens)) {
    group_.longest_hit(sequence.chain_, tokens, tokens.size() - 1, sequence.found_);
  } else {
    sequence.found_.clear();
  }
}

bool KvCache::can_match(std::span<const TokenId> tokens) const {
  return !tokens.empty() && prefix_caching_ == PrefixCaching::kOn;
}

std::size_t KvCache::blocks_to_start(SequenceKv& sequence, std::span<const TokenId> tokens,
                                     std::size_t upto) {
  look_up(sequence, tokens);
  const auto& found = sequence.found_;
  const auto cached =
      std::ranges::partition_point(found, [&](const FoundBlock& f) { return pool_.pins(f.block) > 0; });
  const std::size_t needed = geometry_.blocks_for(upto);
  return needed - std::min(needed, found.size()) + static_cast<std::size_t>(found.end() - cached);
}

void KvCache::touch(SequenceKv& sequence, std::span<const TokenId> tokens) {
  look_up(sequence, tokens);
  for (const FoundBlock& found : sequence.found_ | std::views::reverse)
    static_cast<void>(pool_.pin(found.block));
}

// Of what match() found; only now is anything read.
void KvCache::count_match(SequenceKv& sequence) {
  for (BlockId block : sequence.table_.ids().first(geometry_.full_blocks(sequence.hit_tokens_))) {
    pool_.used(block);
    for (KvObserver* observer : observers_) observer->used(block);
  }
  if (sequence.hit_tokens_ > 0 && sequence.queried_tokens_ == 0)
    counters_.resumed_tokens += sequence.hit_tokens_;
  if (sequence.queried_tokens_ > 0) counters_.hit_tokens += sequence.hit_tokens_;
  counters_.queried_tokens += std::exchange(sequence.queried_tokens_, 0);
  sequence.hit_tokens_ = 0;
}

std::size_t KvCache::missing_blocks(const SequenceKv& sequence, std::size_t upto) const {
  const std::size_t needed = geometry_.blocks_for(upto), held = sequence.table_.blocks();
  return (needed > held ? needed - held : 0) + (must_copy(sequence) ? 1 : 0);
}

Reserve KvCache::reserve(SequenceKv& sequence, std::size_t upto) {
  FOLIO_CHECK(upto >= sequence.computed_, "reserving less than is computed; truncate first");
  if (upto == sequence.computed_) return Reserve::kDone;
  const BlockRange range = group_.blocks_for({.first = sequence.computed_, .end = upto});
  const std::size_t held = sequence.table_.blocks();
  const std::size_t missing = range.end > held ? range.end - held : 0;
  const bool copy = must_copy(sequence);
  const std::size_t obtainable = pool_.obtainable_blocks();
  if (missing > obtainable) return Reserve::kNoBlocks;
  // The last block of the pool is not spent on a copy that nobody but the index would share: the index lets
  // go. By then nothing is cached any more, so no entry follows the block.
  const bool copy_fits = missing + 1 <= obtainable;
  if (copy && !copy_fits && pool_.pins(sequence.table_.ids()[range.first]) > 1) return Reserve::kNoBlocks;

  for (std::size_t i = 0; i < missing; ++i) sequence.table_.append(obtain());
  if (copy && copy_fits) copy_block(sequence, range.first);
  if (copy && !copy_fits) lose(sequence.table_.ids()[range.first]);
  return Reserve::kDone;
}

// Only the block that computed() falls into can be shared or published: all after it were acquired for this
// sequence by reserve(), and fork() and truncate() leave no block after it.
bool KvCache::must_copy(const SequenceKv& sequence) const {
  const bool begun = sequence.computed_ % geometry_.block_tokens() != 0;
  return begun && sequence.table_.needs_copy(sequence.computed_);
}

// A block to write into. Requires: one is obtainable.
BlockRef KvCache::obtain() {
  if (pool_.free_blocks() == 0) {
    FOLIO_CHECK(pool_.cached_blocks() > 0, "the pool promised a block");
    lose(pool_.first_victim());
  }
  return *pool_.acquire();
}

// Nobody finds it any more.
void KvCache::lose(BlockId block) {
  const BlockHash name = index_.hash(block);
  index_.erase(block);
  pool_.forget(block);
  ++counters_.evicted_blocks;
  for (KvObserver* observer : observers_) observer->lost(block, name);
}

void KvCache::copy_block(SequenceKv& sequence, std::size_t index) {
  BlockRef copy = obtain();
  const BlockId source = sequence.table_.ids()[index];
  std::memcpy(pool_.data(copy.id()), pool_.data(source), pool_.block_bytes());
  if (pool_.kept(source))
    for (KvObserver* observer : observers_) observer->used(source);
  sequence.table_.replace(index, std::move(copy));
  ++counters_.copied_blocks;
}

void KvCache::commit(SequenceKv& sequence, std::span<const TokenId> tokens, std::size_t computed) {
  FOLIO_CHECK(computed >= sequence.computed_ && computed <= tokens.size(),
              "committing tokens that are not known");
  FOLIO_CHECK(computed <= sequence.table_.token_capacity(), "committing tokens that were never reserved");
  FOLIO_CHECK(computed == sequence.computed_ || !must_copy(sequence),
              "a shared block was written without reserve()");
  FOLIO_DCHECK(continues(sequence, tokens), "other tokens than those that were committed before");
  if (computed > sequence.computed_) count_match(sequence);
  sequence.computed_ = computed;
  if (prefix_caching_ == PrefixCaching::kOff) return;
  while (sequence.published_blocks_ < geometry_.full_blocks(computed)) publish_next_block(sequence, tokens);
}

// Does `tokens` begin with what the sequence published? Its last block stands for all.
bool KvCache::continues(const SequenceKv& sequence, std::span<const TokenId> tokens) const {
  const std::size_t blocks = sequence.published_blocks_;
  return blocks == 0 || group_.holds(sequence.table_.ids()[blocks - 1], tokens, blocks - 1);
}

void KvCache::publish_next_block(SequenceKv& sequence, std::span<const TokenId> tokens) {
  const std::size_t index = sequence.published_blocks_++;
  const BlockId block = sequence.table_.ids()[index];
  const BlockId parent = index == 0 ? kNoBlock : sequence.table_.ids()[index - 1];
  const PrefixKey key = group_.key(sequence.chain_, tokens, index, parent);
  if (index < sequence.claimed_blocks_) sequences_.pending.drop(key.hash, sequence.owner_);
  const std::optional<BlockId> resident = index_.find(key);
  if (!resident) {
    index_.insert(key, block);
    pool_.keep(block, {.parent = parent, .first_token = index * geometry_.block_tokens()});
    for (KvObserver* observer : observers_) observer->published(block, key);
  } else if (*resident != block) {  // equal when a fork published it
    sequence.table_.replace(index, pool_.pin(*resident));
    ++counters_.merged_blocks;
  }
}

void KvCache::truncate(SequenceKv& sequence, std::size_t tokens) {
  FOLIO_CHECK(tokens <= sequence.computed_, "truncating to more than is computed");
  sequence.give_back(tokens);
  sequence.forget_names(tokens);
}

void KvCache::release(SequenceKv& sequence) { sequence.give_back(0); }

void KvCache::reset(SequenceKv& sequence, std::size_t same_tokens) {
  sequence.give_back(0);
  sequence.forget_names(same_tokens);
}

SequenceKv KvCache::fork(const SequenceKv& sequence, SequenceId owner, std::size_t capacity_tokens) {
  SequenceKv child = open(owner, "", capacity_tokens);
  const std::size_t capacity_blocks = std::min(geometry_.blocks_for(capacity_tokens), pool_.blocks());
  child.table_ = sequence.table_.share(geometry_.blocks_for(sequence.computed_), capacity_blocks);
  child.chain_ = sequence.chain_;
  child.chain_.truncate(
      geometry_.full_blocks(sequence.computed_));  // names of tokens that the child may not share
  child.computed_ = sequence.computed_;
  child.published_blocks_ = sequence.published_blocks_;
  ++counters_.forks;
  return child;
}

std::optional<SwappedKv> KvCache::swap_out(SequenceKv& sequence) {
  const std::span<const BlockId> blocks = sequence.blocks();
  const std::size_t end = geometry_.blocks_for(sequence.computed_);
  std::size_t first = 0;
  while (first < end && pool_.pins(blocks[first]) > 1) ++first;
  if (first == end || end - first > swap_.free_slots()) return std::nullopt;
  SwappedKv swapped(swap_, first, sequence.computed_);
  for (std::size_t i = first; i < end; ++i)
    std::memcpy(swapped.add().data(), pool_.data(blocks[i]), pool_.block_bytes());
  counters_.swapped_out_blocks += end - first;
  release(sequence);
  return swapped;
}

bool KvCache::swap_in(SequenceKv& sequence, std::span<const TokenId> tokens, const SwappedKv& swapped) {
  const std::size_t first = sequence.published_blocks_;
  if (first < swapped.first_block()) return false;
  for (std::size_t i = first; i < geometry_.blocks_for(swapped.computed()); ++i) {
    std::memcpy(pool_.data(sequence.table_.ids()[i]), swapped.block(i).data(), pool_.block_bytes());
    ++counters_.swapped_in_blocks;
  }
  commit(sequence, tokens, swapped.computed());
  return true;
}

Reset KvCache::reset() {
  if (pool_.in_use_blocks() > 0) return Reset::kInUse;
  while (pool_.cached_blocks() > 0) {
    const BlockId block = pool_.first_victim();
    index_.erase(block);
    pool_.forget(block);
  }
  for (KvObserver* observer : observers_) observer->cleared();
  return Reset::kDone;
}

KvStats KvCache::stats() const {
  KvStats stats = counters_;
  stats.blocks = pool_.blocks();
  stats.free_blocks = pool_.free_blocks();
  stats.cached_blocks = pool_.cached_blocks();
  stats.in_use_blocks = pool_.in_use_blocks();
  stats.block_bytes = pool_.block_bytes();
  std::size_t entries = 0;
  for (const SequenceKv* sequence : sequences_.all) entries += sequence->table_.blocks();
  stats.looked_up_blocks = group_.looked_up();
  stats.saved_blocks = entries - stats.in_use_blocks;
  stats.swap_blocks = swap_.slots();
  stats.free_swap_blocks = swap_.free_slots();
  return stats;
}

}  // namespace folio::kv
