// Softmax attention of a few queries over one split of the cache, block by block. All instruction sets give
// the same bits as reference.cc, and a query's result depends on the query and the positions it sees alone:
//
//   positions   0 ........... 64 .......... 128 ......... 192 ......... 256 ...
//               |---- step ----|---- step ---|---- step ---|---- step ---|
//               |------------------------ split ------------------------|
//
// Splits and steps begin at absolute multiples of kSplitTokens and kStepTokens, never at the start of a
// window, a chunk or a share of work. Within a step, for the visible positions (the others are exact zeros
// and their memory is not used):
//   score    s[t] = fma over the key dimensions in ascending order
//   maximum  m' = max(m, all s); the sums so far are multiplied by e^(m - m')
//   weight   w = fma(w, e^(m - m'), sum of e[t]), e[t] = e^(s[t] - m'): lane l adds t = l, l+16, l+32, l+48,
//   then lanes
//            are added as sum_lanes() does
//   values   v[d] = fma(e[t], V[t][d], v[d]) over t in ascending order
// A query without a visible position in a step skips it. Splits are merged in ascending order by merge(),
// also when one thread did them all, so that any number of threads may share the splits of one query.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "kernels/attention/kv_type.h"

namespace folio::kernels {

inline constexpr std::uint32_t kStepTokens = 64;
inline constexpr std::uint32_t kSplitTokens = 256;
inline constexpr std::uint32_t kSplitSteps = kSplitTokens / kStepTokens;
inline constexpr std::size_t kQueryTile = 4;  // queries that share one read of K and V

// What is known of one query after some positions. An empty state (none seen) has maximum = -infinity.
struct AttentionState {
  float* values;  // [padded_value_dim] the weighted sum of V, not yet divided by `weight`
  float maximum;
  float weight;
};

// Where one layer's K and V of one KV head lie in the blocks of one sequence.
struct KvHeadView {
  const std::uint8_t* keys;    // arena + offset of this head's first key tile within a block
  const std::uint8_t* values;  // the same for values
  const BlockId* blocks;       // the sequence's blocks in order
  std::size_t block_bytes;
  std::size_t tiles_per_block;
  std::size_t key_tile_bytes;
  std::size_t value_tile_bytes;
  std::size_t key_dim;
  std::size_t value_dim;
};

struct AttendArgs {
  KvHeadView kv;
  std::size_t queries;              // 1..kQueryTile
  const float* query[kQueryTile];   // [key_dim], already multiplied by the attention scale
  std::uint32_t first[kQueryTile];  // visible positions are [first, end), end > first
  std::uint32_t end[kQueryTile];
  std::uint32_t step, steps;  // positions [step, step + steps) * kStepTokens, all of one split
  // What the caller attends to after this, so that its first step is asked for in time: a head's first tiles
  // within a block, as kv.keys and kv.values, and the step's number. Never read.
  const std::uint8_t* next_keys;
  const std::uint8_t* next_values;
  std::uint32_t next_step;
};

// Writes one token's key or value vector of one head into slot `t` of a tile, rounded to nearest even.
using StoreKernel = void (*)(const float* row, std::size_t dim, std::uint8_t* tile, std::size_t t);

struct AttentionTypeKernels {
  // states[i] of query i is overwritten with the result over these steps alone if they are their split's
  // first, else continued. A step past the query's last position changes nothing.
  void (*attend)(const AttendArgs& args, AttentionState* states);
  StoreKernel store_key;
  StoreKernel store_value;
};

struct AttentionKernels {
#define ATTENTION_KERNEL(field, Type) AttentionTypeKernels field;
#include "kernels/attention/kernels.inc"
#undef ATTENTION_KERNEL
  // total = total merged with the next split; merging with an empty state copies the other, bit for bit.
  void (*merge)(AttentionState* total, const AttentionState* next, std::size_t padded_dim);
  // out[0..dim) = values * (1 / weight).
  void (*finish)(const AttentionState* state, float* out, std::size_t dim);
};

extern const AttentionKernels kAttentionReference;
#if defined(__x86_64__)
extern const AttentionKernels kAttentionAvx2;
extern const AttentionKernels kAttentionAvx512;
#endif

}  // namespace folio::kernels
