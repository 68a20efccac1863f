// The specification of attention: one query, one position, one dimension at a time.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/attention/attention_kernels.h"
#include "kernels/quant/half.h"
#include "kernels/reference_math.h"

namespace folio::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct F32 {
  using Element = float;
  static constexpr bool kPairs = false;
  static float expand(float x) { return x; }
  static float encode(float x) { return x; }
};
struct F16 {
  using Element = std::uint16_t;
  static constexpr bool kPairs = false;
  static float expand(Element x) { return f16_to_f32(x); }
  static Element encode(float x) { return f32_to_f16(x); }
};
struct BF16 {
  using Element = std::uint16_t;
  static constexpr bool kPairs = true;
  static float expand(Element x) { return bf16_to_f32(x); }
  static Element encode(float x) { return f32_to_bf16(x); }
};

template <typename Type>
std::size_t key_index(std::size_t t, std::size_t d) {
  return Type::kPairs ? d / 2 * 2 * kTileTokens + t * 2 + d % 2 : d * kTileTokens + t;
}

template <typename Type>
std::size_t value_index(std::size_t t, std::size_t d, std::size_t dim) {
  const std::size_t padded = padded_value_dim(dim);
  return Type::kPairs ? t / 2 * padded * 2 + d * 2 + t % 2 : t * padded + d;
}

template <typename Type>
float element(const std::uint8_t* tile, std::size_t index) {
  typename Type::Element e;
  std::memcpy(&e, tile + index * sizeof(e), sizeof(e));
  return Type::expand(e);
}

template <typename Type>
void set_element(std::uint8_t* tile, std::size_t index, float x) {
  const typename Type::Element e = Type::encode(x);
  std::memcpy(tile + index * sizeof(e), &e, sizeof(e));
}

// The tile of position p, counted from the tile of the sequence's first block at `base`.
const std::uint8_t* tile_at(const KvHeadView& kv, const std::uint8_t* base, std::size_t tile_bytes,
                            std::uint32_t p) {
  const std::size_t tile = p / kTileTokens;
  const auto block = static_cast<std::size_t>(kv.blocks[tile / kv.tiles_per_block]);
  return base + block * kv.block_bytes + tile % kv.tiles_per_block * tile_bytes;
}

template <typename Type>
float score(const KvHeadView& kv, const float* query, std::uint32_t p) {
  const std::uint8_t* tile = tile_at(kv, kv.keys, kv.key_tile_bytes, p);
  float sum = 0;
  for (std::size_t d = 0; d < kv.key_dim; ++d)
    sum = std::fma(query[d], element<Type>(tile, key_index<Type>(p % kTileTokens, d)), sum);
  return sum;
}

// One step of one query over the positions [first, end), all within one step.
template <typename Type>
void step(const KvHeadView& kv, const float* query, std::uint32_t first, std::uint32_t end,
          AttentionState& state) {
  float scores[kStepTokens];
  float maximum = state.maximum;
  for (std::uint32_t p = first; p < end; ++p) {
    scores[p % kStepTokens] = score<Type>(kv, query, p);
    maximum = std::max(maximum, scores[p % kStepTokens]);
  }
  const float rescale = exp_reference(state.maximum - maximum);
  float lanes[kLanes] = {};
  for (std::uint32_t p = first; p < end; ++p) {
    float& s = scores[p % kStepTokens];
    s = exp_reference(s - maximum);
    lanes[p % kLanes] = lanes[p % kLanes] + s;
  }
  state.maximum = maximum;
  state.weight = std::fma(state.weight, rescale, sum_lanes(lanes));
  for (std::size_t d = 0; d < kv.value_dim; ++d) {
    float sum = state.values[d] * rescale;
    for (std::uint32_t p = first; p < end; ++p) {
      const std::uint8_t* tile = tile_at(kv, kv.values, kv.value_tile_bytes, p);
      sum = std::fma(scores[p % kStepTokens],
                     element<Type>(tile, value_index<Type>(p % kTileTokens, d, kv.value_dim)), sum);
    }
    state.values[d] = sum;
  }
}

template <typename Type>
void attend(const AttendArgs& args, AttentionState* states) {
  for (std::size_t i = 0; i < args.queries; ++i) {
    if (args.step % kSplitSteps == 0) {
      states[i].maximum = kMinusInfinity;
      states[i].weight = 0;
      std::fill_n(states[i].values, padded_value_dim(args.kv.value_dim), 0.0f);
    }
    for (std::uint32_t s = args.step; s < args.step + args.steps; ++s) {
      const std::uint32_t begin = s * kStepTokens;
      const std::uint32_t first = std::max(begin, args.first[i]);
      const std::uint32_t end = std::min(begin + kStepTokens, args.end[i]);
      if (first < end) step<Type>(args.kv, args.query[i], first, end, states[i]);
    }
  }
}

template <typename Type>
void store_key(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t) {
  for (std::size_t d = 0; d < dim; ++d) set_element<Type>(tile, key_index<Type>(t, d), row[d]);
}

template <typename Type>
void store_value(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t) {
  for (std::size_t d = 0; d < dim; ++d) set_element<Type>(tile, value_index<Type>(t, d, dim), row[d]);
}

void merge(AttentionState* total, const AttentionState* next, std::size_t padded_dim) {
  if (next->maximum == kMinusInfinity) return;
  if (total->maximum == kMinusInfinity) {
    std::copy_n(next->values, padded_dim, total->values);
    total->maximum = next->maximum;
    total->weight = next->weight;
    return;
  }
  const float maximum = std::max(total->maximum, next->maximum);
  const float keep = exp_reference(total->maximum - maximum);
  const float take = exp_reference(next->maximum - maximum);
  for (std::size_t d = 0; d < padded_dim; ++d)
    total->values[d] = std::fma(next->values[d], take, total->values[d] * keep);
  total->weight = std::fma(next->weight, take, total->weight * keep);
  total->maximum = maximum;
}

void finish(const AttentionState* state, float* out, std::size_t dim) {
  const float inverse = 1.0f / state->weight;
  for (std::size_t d = 0; d < dim; ++d) out[d] = state->values[d] * inverse;
}

template <typename Type>
constexpr AttentionTypeKernels kernels_of() {
  return {.attend = attend<Type>, .store_key = store_key<Type>, .store_value = store_value<Type>};
}

}  // namespace

const AttentionKernels kAttentionReference = {.f32 = kernels_of<F32>(),
                                              .f16 = kernels_of<F16>(),
                                              .bf16 = kernels_of<BF16>(),
                                              .merge = merge,
                                              .finish = finish};

}  // namespace folio::kernels
