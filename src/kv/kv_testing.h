// For tests of this floor: small shapes, and a stand-in for a model that makes wrong sharing visible.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kv/kv_cache.h"

namespace folio::kv::testing {

inline constexpr std::size_t kBlockTokens = 16;  // of small_geometry(0)
inline constexpr int kGeometries = 3;

// 0 is the smallest; of the others each has several layers and heads, odd dims and another type, one also
// blocks of several tiles. Every tile holds 8 bytes a token.
inline KvGeometry small_geometry(int which = 0) {
  const KvShape shapes[kGeometries] = {
      {.layers = 1, .kv_heads = 1, .key_dim = 2, .value_dim = 2, .block_tokens = kBlockTokens},
      {.layers = 3, .kv_heads = 2, .key_dim = 5, .value_dim = 3, .type = kernels::KvType::kF16},
      {.layers = 2,
       .kv_heads = 3,
       .key_dim = 3,
       .value_dim = 17,
       .type = kernels::KvType::kBF16,
       .block_tokens = 48}};
  return KvGeometry::create(shapes[which]).value();
}

inline std::unique_ptr<KvCache> small_cache(std::size_t blocks, LinkHash hash = &hash_link,
                                            PrefixCaching caching = PrefixCaching::kOn) {
  return KvCache::create(
             {.geometry = small_geometry(), .blocks = blocks, .prefix_caching = caching, .hash = hash})
      .value();
}

// Each sequence has an owner of its own.
inline SequenceId next_owner() {
  static std::uint64_t last = 1000;
  return SequenceId{++last};
}
inline SequenceKv open(KvCache& cache, std::size_t capacity_tokens, std::string_view salt = "") {
  return cache.open(next_owner(), salt, capacity_tokens);
}
inline SequenceKv fork(KvCache& cache, const SequenceKv& parent, std::size_t capacity_tokens) {
  return cache.fork(parent, next_owner(), capacity_tokens);
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

// Where the state of token `position` is kept: in every layer's and head's keys and values, each time in
// another form, so that a mix-up shows. Calls visit(place of 8 bytes, what the state is masked with there).
template <typename Visit>
void for_each_place(const KvCache& cache, const SequenceKv& sequence, std::size_t position, Visit visit) {
  const KvGeometry& geometry = cache.geometry();
  const BlockId block = sequence.blocks()[position / geometry.block_tokens()];
  std::byte* const start = cache.memory().data() + raw(block) * geometry.block_bytes();
  const std::size_t tile = position % geometry.block_tokens() / kernels::kTileTokens;
  const std::size_t in_tile = position % kernels::kTileTokens * 8;
  std::uint64_t mask = 0;
  for (std::size_t layer = 0; layer < geometry.shape().layers; ++layer)
    for (std::size_t head = 0; head < geometry.shape().kv_heads; ++head) {
      visit(start + geometry.key_offset(layer, head) + tile * geometry.key_tile_bytes() + in_tile, mask++);
      visit(start + geometry.value_offset(layer, head) + tile * geometry.value_tile_bytes() + in_tile,
            mask++);
    }
}

inline void write_state(const KvCache& cache, const SequenceKv& sequence, std::size_t position,
                        std::uint64_t state) {
  for_each_place(cache, sequence, position, [&](std::byte* place, std::uint64_t mask) {
    const std::uint64_t masked = state ^ mask;
    std::memcpy(place, &masked, sizeof(masked));
  });
}

// nullopt: the places do not agree.
inline std::optional<std::uint64_t> read_state(const KvCache& cache, const SequenceKv& sequence,
                                               std::size_t position) {
  std::optional<std::uint64_t> state;
  bool agree = true;
  for_each_place(cache, sequence, position, [&](const std::byte* place, std::uint64_t mask) {
    std::uint64_t masked = 0;
    std::memcpy(&masked, place, sizeof(masked));
    agree = agree && (!state || *state == (masked ^ mask));
    state = masked ^ mask;
  });
  return agree ? state : std::nullopt;
}

// Computes tokens [sequence.computed(), upto) into reserved blocks, reading the past through the table only.
inline void compute(const KvCache& cache, const SequenceKv& sequence, std::span<const TokenId> tokens,
                    std::size_t upto) {
  std::size_t p = sequence.computed();
  std::uint64_t state = p == 0 ? 0 : read_state(cache, sequence, p - 1).value_or(0);
  for (; p < upto; ++p) {
    state = state_after(state, tokens[p]);
    write_state(cache, sequence, p, state);
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
