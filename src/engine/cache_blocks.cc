#include "engine/cache_blocks.h"

namespace folio::engine {

using scheduler::Opening;

namespace {

// Of copying blocks out and in, each: what one core does when it streams through memory.
constexpr double kCopyBytesPerMs = 4e6;

}  // namespace

// With something that can hold blocks.
Sequence& CacheBlocks::opened(SequenceId id) {
  Sequence& s = sequences_.at(id);
  if (!s.kv) s.kv = cache_.open(id, s.request.cache_salt, s.likely_length());
  return s;
}

std::optional<SequenceId> CacheBlocks::producer_of(SequenceId id) {
  Sequence& s = opened(id);
  kv::Claims& claims = cache_.claims();
  if (!s.awaited || !claims.is_pending(*s.awaited)) s.awaited = claims.awaited(*s.kv, s.reusable());
  return s.awaited ? claims.claimant(*s.awaited) : std::nullopt;
}

// A prompt that waits for room asks in every step: it pins nothing until there is.
Opening CacheBlocks::open(SequenceId id, std::size_t spare_blocks) {
  Sequence& s = opened(id);
  const std::size_t blocks = cache_.blocks_to_start(*s.kv, s.reusable(), s.tokens.size());
  if (blocks + spare_blocks > cache_.obtainable_blocks()) {
    cache_.touch(*s.kv, s.reusable());
    return {.answer = Opening::Answer::kNoRoom};
  }
  const std::size_t found = match(s, spare_blocks);
  if (s.swapped) swap_in(s);
  cache_.claims().claim(*s.kv, s.tokens);
  if (!s.began) s.stats.cached_tokens = found;
  return {.answer = Opening::Answer::kReady, .computed = s.kv->computed()};
}

// A part of a block is worth less than a start, and than the whole block in the swap area.
std::size_t CacheBlocks::match(Sequence& s, std::size_t spare_blocks) {
  const auto matching = s.began ? kv::Matching::kResume : kv::Matching::kNew;
  if (!s.swapped) {
    const std::size_t found = cache_.match(*s.kv, s.reusable(), matching);
    const std::size_t missing = cache_.missing_blocks(*s.kv, s.tokens.size());
    if (missing + spare_blocks <= cache_.obtainable_blocks()) return found;
    cache_.release(*s.kv);
  }
  return cache_.match(*s.kv, s.reusable(), matching, kv::Partial::kNo);
}

// There is room for all its tokens, so there is for those that were computed.
void CacheBlocks::swap_in(Sequence& s) {
  const std::size_t computed = s.swapped->computed();
  if (s.kv->computed() < computed) {  // else others computed more by now
    const kv::Reserve reserved = cache_.reserve(*s.kv, computed);
    FOLIO_CHECK(reserved == kv::Reserve::kDone, "room that was there is gone");
    cache_.swap_in(*s.kv, s.tokens, *s.swapped);
  }
  s.swapped.reset();
}

// Against computing all of it again, as if nothing of it would still be found.
bool CacheBlocks::swapping_is_faster(const Sequence& s) const {
  const double bytes = static_cast<double>(s.kv->blocks().size() * cache_.geometry().block_bytes());
  return 2 * bytes / kCopyBytesPerMs < cost_.predict_ms(cost_.shape_of(0, s.kv->computed()));
}

bool CacheBlocks::reserve(SequenceId id, std::size_t upto) {
  return cache_.reserve(*sequences_.at(id).kv, upto) == kv::Reserve::kDone;
}

std::size_t CacheBlocks::missing_blocks(SequenceId id) const {
  const Sequence& s = sequences_.at(id);
  return cache_.missing_blocks(*s.kv, s.tokens.size());
}

void CacheBlocks::preempt(SequenceId id) {
  Sequence& s = sequences_.at(id);
  if (swapping_is_faster(s)) s.swapped = cache_.swap_out(*s.kv);
  cache_.release(*s.kv);
  s.awaited.reset();
  ++s.stats.preemptions;
}

}  // namespace folio::engine
