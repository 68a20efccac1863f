// The attention kernels in the sixteen-lane vocabulary; included by x86_avx2.cc and x86_avx512.cc after their
// simd header.
#pragma once

#include "kernels/attention/attention_kernels.h"
#include "kernels/simd/exp.h"

namespace folio::kernels {
namespace {

constexpr int kKeyTiles = kLaneRegisters >= 32 ? 4 : 1;      // tiles of keys scored together
constexpr int kValueVectors = kLaneRegisters >= 32 ? 4 : 1;  // vectors of values accumulated together
constexpr std::size_t kStepTiles = kStepTokens / kTileTokens;
constexpr float kMinusInfinity = -__builtin_inff();

struct F32 {
  using Element = float;
  // Dimensions d and d + 1 of the sixteen keys of a tile.
  static void key_pair(const Element* tile, std::size_t d, F32x16& a, F32x16& b) {
    a = load(tile + d * kTileTokens);
    b = load(tile + (d + 1) * kTileTokens);
  }
  // Dimensions d..d+15 of the values of positions t and t + 1, t even.
  static void value_pair(const Element* tile, std::size_t t, std::size_t d, std::size_t padded, F32x16& a,
                         F32x16& b) {
    a = load(tile + t * padded + d);
    b = load(tile + (t + 1) * padded + d);
  }
};

struct F16 {
  using Element = std::uint16_t;
  static void key_pair(const Element* tile, std::size_t d, F32x16& a, F32x16& b) {
    a = load_f16(tile + d * kTileTokens);
    b = load_f16(tile + (d + 1) * kTileTokens);
  }
  static void value_pair(const Element* tile, std::size_t t, std::size_t d, std::size_t padded, F32x16& a,
                         F32x16& b) {
    a = load_f16(tile + t * padded + d);
    b = load_f16(tile + (t + 1) * padded + d);
  }
};

struct BF16 {
  using Element = std::uint16_t;
  static void key_pair(const Element* tile, std::size_t d, F32x16& a, F32x16& b) {
    load_bf16_pairs(tile + d * kTileTokens, a, b);
  }
  static void value_pair(const Element* tile, std::size_t t, std::size_t d, std::size_t padded, F32x16& a,
                         F32x16& b) {
    load_bf16_pairs(tile + t * padded + d * 2, a, b);
  }
};

template <typename Type>
inline const typename Type::Element* tile_at(const KvHeadView& kv, const std::uint8_t* base,
                                             std::size_t tile_bytes, std::size_t tile) {
  const auto block = static_cast<std::size_t>(kv.blocks[tile / kv.tiles_per_block]);
  return reinterpret_cast<const typename Type::Element*>(base + block * kv.block_bytes +
                                                         tile % kv.tiles_per_block * tile_bytes);
}

// The step that is read after the one at hand: the next one here, or the first of what the caller does next.
// A head's tile is too short for the processor's own prefetching to see it coming, so it is asked for, line
// by line, while the tile at the same place of this step is read: long enough before its use for memory to
// answer.
struct StepAhead {
  const std::uint8_t *keys, *values;  // a head's first tiles within a block
  std::size_t tile, last_tile;

  // Tile i of the step; the last one there is, past the end.
  std::size_t at(std::size_t i) const { return tile + i < last_tile ? tile + i : last_tile; }
};

// Asks for the lines of a tile that lie where `element` and the 31 after it do.
template <typename Type>
inline void prefetch_pair(const typename Type::Element* tile, std::size_t element) {
  prefetch(tile + element);
  if constexpr (sizeof(typename Type::Element) == 4) prefetch(tile + element + 16);
}

// The scores, then weights, of up to kQueryTile queries over one step.
struct StepScores {
  alignas(64) float of[kQueryTile][kStepTokens];
};

// Scores of Q queries with T tiles of keys from tile `first` of the step that begins at `tile` on, into their
// columns.
template <typename Type, int Q, int T>
inline void score_tiles(const AttendArgs& args, std::size_t tile, std::size_t first, const StepAhead& next,
                        StepScores& scores) {
  const typename Type::Element *keys[T], *ahead[T];
  for (int i = 0; i < T; ++i) {
    const std::size_t at = first + static_cast<std::size_t>(i);
    keys[i] = tile_at<Type>(args.kv, args.kv.keys, args.kv.key_tile_bytes, tile + at);
    ahead[i] = tile_at<Type>(args.kv, next.keys, args.kv.key_tile_bytes, next.at(at));
  }
  F32x16 sums[Q][T] = {};
  const auto accumulate = [&](std::size_t d, bool second_too) {
    for (int i = 0; i < T; ++i) {
      F32x16 a, b;
      prefetch_pair<Type>(ahead[i], d * kTileTokens);
      Type::key_pair(keys[i], d, a, b);
      for (int q = 0; q < Q; ++q) {
        sums[q][i] = fma(set1(args.query[q][d]), a, sums[q][i]);
        if (second_too) sums[q][i] = fma(set1(args.query[q][d + 1]), b, sums[q][i]);
      }
    }
  };
  std::size_t d = 0;
  for (; d + 2 <= args.kv.key_dim; d += 2) accumulate(d, true);
  if (d < args.kv.key_dim) accumulate(d, false);
  for (int q = 0; q < Q; ++q)
    for (int i = 0; i < T; ++i)
      store(&scores.of[q][(first + static_cast<std::size_t>(i)) * kTileTokens], sums[q][i]);
}

// Turns the scores of lanes [first, end) of a step into weights (exact zeros elsewhere) and rescales the
// state.
inline void weigh(float* scores, std::uint32_t first, std::uint32_t end, AttentionState& state,
                  std::size_t padded) {
  F32x16 s[kStepTiles];
  F32x16 highest = set1(kMinusInfinity);
  for (std::size_t i = 0; i < kStepTiles; ++i) {
    const auto begin = static_cast<std::uint32_t>(i * kTileTokens);
    const std::uint32_t from = first > begin ? (first - begin < 16 ? first - begin : 16) : 0;
    const std::uint32_t to = end > begin ? (end - begin < 16 ? end - begin : 16) : 0;
    s[i] = from < to ? keep_lanes(load(scores + begin), from, to) : set1(kMinusInfinity);
    highest = max(highest, s[i]);
  }
  const float in_step = reduce_max(highest);
  const float maximum = in_step > state.maximum ? in_step : state.maximum;
  alignas(64) float rescale_lanes[16];
  store(rescale_lanes, exp_lanes(set1(state.maximum - maximum)));
  const float rescale = rescale_lanes[0];
  F32x16 lanes = zero();
  for (std::size_t i = 0; i < kStepTiles; ++i) {
    s[i] = exp_lanes(sub(s[i], set1(maximum)));
    lanes = add(lanes, s[i]);
    store(scores + i * kTileTokens, s[i]);
  }
  state.weight = __builtin_fmaf(state.weight, rescale, reduce_add(lanes));
  if (state.maximum != maximum)
    for (std::size_t d = 0; d < padded; d += 16)
      store(state.values + d, mul(load(state.values + d), set1(rescale)));
  state.maximum = maximum;
}

// sums[q][i] += weight of position t * V of t, then the same for t + 1; t is even. Either may be left out at
// an edge.
template <typename Type, int Q, int D, bool kFirst, bool kSecond>
inline void add_pair(const typename Type::Element* values, const typename Type::Element* ahead, std::size_t t,
                     std::size_t d, std::size_t padded, const float* const (&weights)[Q],
                     std::uint32_t column, F32x16 (&sums)[Q][D]) {
#pragma GCC unroll 4
  for (int i = 0; i < D; ++i) {
    F32x16 a, b;
    const std::size_t at = d + static_cast<std::size_t>(i) * 16;
    prefetch_pair<Type>(ahead, t * padded + at * 2);
    Type::value_pair(values, t, at, padded, a, b);
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) {
      if (kFirst) sums[q][i] = fma(set1(weights[q][column]), a, sums[q][i]);
      if (kSecond) sums[q][i] = fma(set1(weights[q][column + 1]), b, sums[q][i]);
    }
  }
}

// values[q][d .. d + 16 D) += weight * V over the positions [first, end) of the step that starts at tile
// `tile`, ascending.
template <typename Type, int Q, int D>
inline void add_values(const KvHeadView& kv, std::size_t tile, const StepAhead& next,
                       const StepScores& scores, std::size_t first_query, std::uint32_t first,
                       std::uint32_t end, std::size_t d, AttentionState* states) {
  const std::size_t padded = padded_value_dim(kv.value_dim);
  const float* weights[Q];
  F32x16 sums[Q][D];
  for (int q = 0; q < Q; ++q) {
    weights[q] = scores.of[first_query + static_cast<std::size_t>(q)];
    for (int i = 0; i < D; ++i) sums[q][i] = load(states[q].values + d + static_cast<std::size_t>(i) * 16);
  }
  for (std::uint32_t t = first; t < end;) {
    const std::size_t at = t / kTileTokens;
    const auto* values = tile_at<Type>(kv, kv.values, kv.value_tile_bytes, tile + at);
    const auto* ahead = tile_at<Type>(kv, next.values, kv.value_tile_bytes, next.at(at));
    const auto tile_end = static_cast<std::uint32_t>((t / kTileTokens + 1) * kTileTokens);
    const std::uint32_t stop = end < tile_end ? end : tile_end;
    if (t % 2 != 0) {
      add_pair<Type, Q, D, false, true>(values, ahead, (t - 1) % kTileTokens, d, padded, weights, t - 1,
                                        sums);
      ++t;
    }
    for (; t + 2 <= stop; t += 2)
      add_pair<Type, Q, D, true, true>(values, ahead, t % kTileTokens, d, padded, weights, t, sums);
    if (t < stop) {
      add_pair<Type, Q, D, true, false>(values, ahead, t % kTileTokens, d, padded, weights, t, sums);
      ++t;
    }
  }
  for (int q = 0; q < Q; ++q)
    for (int i = 0; i < D; ++i) store(states[q].values + d + static_cast<std::size_t>(i) * 16, sums[q][i]);
}

template <typename Type, int Q>
inline void add_all_values(const KvHeadView& kv, std::size_t tile, const StepAhead& next,
                           const StepScores& scores, std::size_t first_query, std::uint32_t first,
                           std::uint32_t end, AttentionState* states) {
  const std::size_t padded = padded_value_dim(kv.value_dim);
  std::size_t d = 0;
  for (; d + 16 * kValueVectors <= padded; d += 16 * kValueVectors)
    add_values<Type, Q, kValueVectors>(kv, tile, next, scores, first_query, first, end, d, states);
  for (; d < padded; d += 16)
    add_values<Type, Q, 1>(kv, tile, next, scores, first_query, first, end, d, states);
}

inline void clear(AttentionState& state, std::size_t padded) {
  state.maximum = kMinusInfinity;
  state.weight = 0;
  for (std::size_t d = 0; d < padded; d += 16) store(state.values + d, zero());
}

template <typename Type, int Q>
inline void attend_queries(const AttendArgs& args, AttentionState* states) {
  const std::size_t padded = padded_value_dim(args.kv.value_dim);
  const std::uint32_t steps_end = (args.step + args.steps) * kStepTokens;
  std::uint32_t lowest = args.first[0], highest = args.end[0];
  for (int q = 0; q < Q; ++q) {
    if (args.step % kSplitSteps == 0) clear(states[q], padded);
    if (args.first[q] < lowest) lowest = args.first[q];
    if (args.end[q] > highest) highest = args.end[q];
  }
  const std::size_t last_tile = (highest - 1) / kTileTokens;
  StepScores scores;
  for (std::uint32_t begin = args.step * kStepTokens; begin < steps_end && begin < highest;
       begin += kStepTokens) {
    if (begin + kStepTokens <= lowest) continue;
    const std::size_t tile = begin / kTileTokens;
    const std::uint32_t seen_end = highest - begin < kStepTokens ? highest - begin : kStepTokens;
    const std::uint32_t seen_first = lowest > begin ? lowest - begin : 0;
    const std::size_t tiles_end = (seen_end + kTileTokens - 1) / kTileTokens;
    const bool last = begin + kStepTokens >= steps_end || begin + kStepTokens >= highest;
    const StepAhead next =
        last ? StepAhead{args.next_keys, args.next_values, args.next_step * kStepTiles, last_tile}
             : StepAhead{args.kv.keys, args.kv.values, tile + kStepTiles, last_tile};
    std::size_t i = seen_first / kTileTokens;  // tiles before belong to positions that no query sees
    for (; i + kKeyTiles <= tiles_end; i += kKeyTiles)
      score_tiles<Type, Q, kKeyTiles>(args, tile, i, next, scores);
    for (; i < tiles_end; ++i) score_tiles<Type, Q, 1>(args, tile, i, next, scores);

    std::uint32_t first[Q], end[Q];
    bool same = true;
    for (int q = 0; q < Q; ++q) {
      first[q] = args.first[q] > begin ? args.first[q] - begin : 0;
      end[q] =
          args.end[q] > begin ? (args.end[q] - begin < kStepTokens ? args.end[q] - begin : kStepTokens) : 0;
      same = same && first[q] == first[0] && end[q] == end[0];
      if (first[q] < end[q]) weigh(scores.of[q], first[q], end[q], states[q], padded);
    }
    // Each query adds exactly the positions it sees: one pass for all where they see the same, else one each.
    if (same) {
      add_all_values<Type, Q>(args.kv, tile, next, scores, 0, first[0], end[0], states);
      continue;
    }
    for (int q = 0; q < Q; ++q)
      if (first[q] < end[q])
        add_all_values<Type, 1>(args.kv, tile, next, scores, static_cast<std::size_t>(q), first[q], end[q],
                                states + q);
  }
}

template <typename Type>
void attend(const AttendArgs& args, AttentionState* states) {
  switch (args.queries) {
    case 1:
      return attend_queries<Type, 1>(args, states);
    case 2:
      return attend_queries<Type, 2>(args, states);
    case 3:
      return attend_queries<Type, 3>(args, states);
    default:
      return attend_queries<Type, 4>(args, states);
  }
}

inline std::uint16_t to_bf16(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return static_cast<std::uint16_t>(bits >> 16 | 0x40u);  // NaN stays NaN
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// A row rounded to halves, sixteen at a time.
inline void to_halves(const float* row, std::size_t dim, std::uint16_t* halves) {
  std::size_t d = 0;
  for (; d + 16 <= dim; d += 16) store_f16(halves + d, load(row + d));
  if (d == dim) return;
  alignas(64) std::uint16_t last[16];
  store_f16(last, load_first(row + d, dim - d));
  for (std::size_t i = 0; d + i < dim; ++i) halves[d + i] = last[i];
}

void store_key_f32(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t) {
  auto* out = reinterpret_cast<float*>(tile);
  for (std::size_t d = 0; d < dim; ++d) out[d * kTileTokens + t] = row[d];
}
void store_value_f32(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t) {
  __builtin_memcpy(tile + t * padded_value_dim(dim) * sizeof(float), row, dim * sizeof(float));
}
void store_key_f16(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t) {
  auto* out = reinterpret_cast<std::uint16_t*>(tile);
  alignas(64) std::uint16_t halves[16];
  for (std::size_t d = 0; d < dim; d += 16) {
    const std::size_t count = dim - d < 16 ? dim - d : 16;
    to_halves(row + d, count, halves);
    for (std::size_t i = 0; i < count; ++i) out[(d + i) * kTileTokens + t] = halves[i];
  }
}
void store_value_f16(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t) {
  to_halves(row, dim, reinterpret_cast<std::uint16_t*>(tile) + t * padded_value_dim(dim));
}
void store_key_bf16(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t) {
  auto* out = reinterpret_cast<std::uint16_t*>(tile);
  for (std::size_t d = 0; d < dim; ++d) out[d / 2 * 2 * kTileTokens + t * 2 + d % 2] = to_bf16(row[d]);
}
void store_value_bf16(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t) {
  auto* out = reinterpret_cast<std::uint16_t*>(tile) + t / 2 * padded_value_dim(dim) * 2 + t % 2;
  for (std::size_t d = 0; d < dim; ++d) out[d * 2] = to_bf16(row[d]);
}

inline float exp_scalar(float x) {
  alignas(64) float lanes[16];
  store(lanes, exp_lanes(set1(x)));
  return lanes[0];
}

void merge(AttentionState* total, const AttentionState* next, std::size_t padded_dim) {
  if (next->maximum == kMinusInfinity) return;
  if (total->maximum == kMinusInfinity) {
    for (std::size_t d = 0; d < padded_dim; d += 16) store(total->values + d, load(next->values + d));
    total->maximum = next->maximum;
    total->weight = next->weight;
    return;
  }
  const float maximum = next->maximum > total->maximum ? next->maximum : total->maximum;
  const float keep = exp_scalar(total->maximum - maximum);
  const float take = exp_scalar(next->maximum - maximum);
  for (std::size_t d = 0; d < padded_dim; d += 16)
    store(total->values + d,
          fma(load(next->values + d), set1(take), mul(load(total->values + d), set1(keep))));
  total->weight = __builtin_fmaf(next->weight, take, total->weight * keep);
  total->maximum = maximum;
}

void finish(const AttentionState* state, float* out, std::size_t dim) {
  const F32x16 inverse = set1(1.0f / state->weight);
  std::size_t d = 0;
  for (; d + 16 <= dim; d += 16) store(out + d, mul(load(state->values + d), inverse));
  if (d < dim) store_first(out + d, mul(load(state->values + d), inverse), dim - d);
}

}  // namespace
}  // namespace folio::kernels
