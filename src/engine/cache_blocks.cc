#include "engine/cache_blocks.h"

namespace folio::engine {

using scheduler::Opening;

Opening CacheBlocks::open(SequenceId id, std::size_t spare_blocks) {
  Sequence& s = sequences_.at(id);
  if (!s.kv) s.kv = cache_.open(s.request.cache_salt, s.likely_length());
  if (must_wait(s)) return {.answer = Opening::Answer::kPending};

  std::size_t found = cache_.match(*s.kv, s.reusable(), s.began ? kv::Matching::kResume : kv::Matching::kNew);
  const auto fits = [&] {
    return cache_.missing_blocks(*s.kv, s.tokens.size()) + spare_blocks <= cache_.obtainable_blocks();
  };
  if (!fits()) {  // a part of a block is worth less than a start
    cache_.drop_partial_hit(*s.kv);
    found = s.kv->computed();
  }
  if (!fits()) {
    cache_.release(*s.kv);
    return {.answer = Opening::Answer::kNoRoom};
  }
  cache_.claim(*s.kv, s.tokens);
  if (!s.began) s.stats.cached_tokens = found;
  return {.answer = Opening::Answer::kReady, .computed = found};
}

// Looking through a prompt costs as much as a match; as long as what it waits for is not there, one look-up
// does.
bool CacheBlocks::must_wait(Sequence& s) {
  if (s.awaited && cache_.is_pending(*s.awaited)) return true;
  s.awaited = cache_.awaited(*s.kv, s.reusable());
  return s.awaited.has_value();
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
  cache_.release(*s.kv);
  s.awaited.reset();
  ++s.stats.preemptions;
}

}  // namespace folio::engine
