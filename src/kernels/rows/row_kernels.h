// Arithmetic on one row (one token's vector). All instruction sets give the same bits as reference.cc.
//
//   rms_norm       out[i] = (x[i] * s) * weight[i], s = 1 / sqrt(sum(x^2) / n + epsilon); out may be x.
//   silu_mul       out[i] = (gate[i] / (1 + e^-gate[i])) * up[i]; out may be gate or up.
//   rope_adjacent  rotates the pairs (x[2i], x[2i+1]) by the angle of pair i (llama's GGUF order).
//   rope_halves    rotates the pairs (x[i], x[i + pairs]) (Hugging Face order).
//   quantize16     about 16 bits in two int8 planes: per group of 32, c = round(x * (32512 / amax)),
//                  scale = amax / 32512, high = round(c / 256), ties to even, low = c - 256 high, clamped to
//                  [-127, 127], so that every code of either plane has a negative. A group whose largest
//                  magnitude is below kSmallestGroup becomes zeros; one that is not finite gets codes 0 and
//                  scale NaN, so that the damage shows in the result.
//   quantize_mixed two planes, but only a group that stands out in its row has sixteen bits as above: its
//                  amax^2 is more than kStandsOut times the mean of that over the row's groups (no group,
//                  if the mean is not finite). The others have eight: high = round(x * (127 / amax)), low
//                  counts as zero and is not written, scale = amax / 127 / 256; zeros and not finite as
//                  above. What int8 loses of a row is the sum of its groups' amax^2, and few groups hold
//                  most of it.
//   round_bf16     each value as the nearest bfloat16, ties to even; infinite beyond the largest, NaN
//                  where it is NaN. Where n is odd a zero follows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace folio::kernels {

inline constexpr std::size_t kActivationGroup = 32;
inline constexpr float kSmallestGroup = 1e-30f;

inline constexpr float kPlaneStep = 256.0f;  // low codes in one high code
inline constexpr float kStandsOut = 1.5f;

// Groups of a row of n values; the last may be cut short.
[[gnu::always_inline]] constexpr std::size_t activation_groups(std::size_t n) {
  return (n + kActivationGroup - 1) / kActivationGroup;
}

// One row of activations in two planes: value i = (256 codes[i] + low[i]) * scales[i / 32], low counting as
// zero where the group is not wide.
struct QuantizedRow {
  std::int8_t* codes;       // [n rounded up to 32], zeros past n; in [-127, 127]
  std::int8_t* low;         // the second plane, like codes; only groups that are wide have one
  std::uint8_t* wide;       // [groups] 1 where the second plane counts, else 0
  float* scales;            // [groups]
  std::int32_t* sums;       // [groups] sum of 256 codes[i] + low[i]
  std::int32_t* half_sums;  // [groups][2] of its first and its last 16, for weights with a scale per 16
};

struct RowKernels {
#define ROW_KERNEL(name, parameters) void(*name) parameters;
#include "kernels/rows/kernels.inc"
#undef ROW_KERNEL
};

extern const RowKernels kRowsReference;
#if defined(__x86_64__)
extern const RowKernels kRowsAvx2;
extern const RowKernels kRowsAvx512;
#endif

}  // namespace folio::kernels
