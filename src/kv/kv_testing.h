// For tests of this floor: small shapes, and a stand-in for a model that makes wrong sharing visible.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "kv/kv_cache.h"

namespace folio::kv::testing {

inline constexpr std::size_t kBlockTokens = 16;

inline KvGeometry small_geometry() {
  return KvGeometry::create(
             {.layers = 1, .kv_heads = 1, .key_dim = 2, .value_dim = 2, .block_tokens = kBlockTokens})
      .value();
}

inline std::unique_ptr<KvCache> small_cache(std::size_t blocks, LinkHash hash = &hash_link,
                                            PrefixCaching caching = PrefixCaching::kOn) {
  return KvCache::create(
             {.geometry = small_geometry(), .blocks = blocks, .prefix_caching = caching, .hash = hash})
      .value();
}

// `count` tokens with ids first, first + 1, ...
inline std::vector<TokenId> token_run(std::int32_t first, std::size_t count) {
  std::vector<TokenId> tokens(count);
  for (std::size_t i = 0; i < count; ++i)
    tokens[i] = static_cast<TokenId>(first + static_cast<std::int32_t>(i));
  return tokens;
}

// What a model would make of a token: like K and V of a deep layer, it depends on every token before it.
inline std::uint64_t state_after(std::uint64_t state_before, TokenId token) {
  const std::uint64_t mixed =
      (state_before ^ static_cast<std::uint64_t>(raw(token))) * 0x9E37'79B9'7F4A'7C15U;
  return mixed ^ (mixed >> 29) ^ 0xA5A5;
}

// Where that state of token `position` is kept in the cache's memory.
inline std::byte* state_address(const KvCache& cache, const SequenceKv& sequence, std::size_t position) {
  const BlockId block = sequence.blocks()[position / kBlockTokens];
  return cache.memory().data() + raw(block) * cache.geometry().block_bytes() + position % kBlockTokens * 8;
}

inline std::uint64_t read_state(const KvCache& cache, const SequenceKv& sequence, std::size_t position) {
  std::uint64_t state = 0;
  std::memcpy(&state, state_address(cache, sequence, position), sizeof(state));
  return state;
}

// Computes tokens [sequence.computed(), upto) into reserved blocks, reading the past through the table only.
inline void compute(const KvCache& cache, const SequenceKv& sequence, std::span<const TokenId> tokens,
                    std::size_t upto) {
  for (std::size_t p = sequence.computed(); p < upto; ++p) {
    const std::uint64_t state = state_after(p == 0 ? 0 : read_state(cache, sequence, p - 1), tokens[p]);
    std::memcpy(state_address(cache, sequence, p), &state, sizeof(state));
  }
}

// True when every computed token's state, read through the table, is what `tokens` alone imply.
inline bool states_are_right(const KvCache& cache, const SequenceKv& sequence,
                             std::span<const TokenId> tokens) {
  std::uint64_t state = 0;
  for (std::size_t p = 0; p < sequence.computed(); ++p) {
    state = state_after(state, tokens[p]);
    if (read_state(cache, sequence, p) != state) return false;
  }
  return true;
}

// reserve, compute, commit; false when there is no room.
inline bool advance(KvCache& cache, SequenceKv& sequence, std::span<const TokenId> tokens, std::size_t upto) {
  if (cache.reserve(sequence, upto) != Reserve::kDone) return false;
  compute(cache, sequence, tokens, upto);
  cache.commit(sequence, tokens, upto);
  return true;
}

}  // namespace folio::kv::testing
