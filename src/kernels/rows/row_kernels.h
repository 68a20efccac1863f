// Arithmetic on one row (one token's vector). All instruction sets give the same bits as reference.cc.
//
//   rms_norm       out[i] = (x[i] * s) * weight[i], s = 1 / sqrt(sum(x^2) / n + epsilon); out may be x.
//   silu_mul       out[i] = (gate[i] / (1 + e^-gate[i])) * up[i]; out may be gate or up.
//   rope_adjacent  rotates the pairs (x[2i], x[2i+1]) by the angle of pair i (llama's GGUF order).
//   rope_halves    rotates the pairs (x[i], x[i + pairs]) (Hugging Face order).
//   quantize       per group of 32: code = round(x * (127 / amax)), scale = amax / 127. A group whose largest
//   magnitude is
//                  below kSmallestGroup becomes zeros; one that is not finite gets codes 0 and scale NaN, so
//                  that the damage shows in the result.
//   quantize_residual  what `coarse` = quantize(x) left over, to int8 again with a scale 254 times finer: the
//                  two together hold x to about 16 bits. code = round((x - coarse) * (1 / fine scale)), at
//                  most 127 in magnitude. A group whose fine scale is below kSmallestGroup becomes zeros.
#pragma once

#include <cstddef>
#include <cstdint>

namespace folio::kernels {

inline constexpr std::size_t kActivationGroup = 32;
inline constexpr float kSmallestGroup = 1e-30f;

// One row of activations as int8: value i = codes[i] * scales[i / 32].
struct QuantizedRow {
  std::int8_t* codes;  // [n rounded up to 32], zeros past n; in [-127, 127]
  float* scales;       // [groups]
  std::int32_t* sums;  // [groups] sum of the group's codes
  std::int32_t*
      half_sums;  // [groups][2] the same of its first and its last 16, for weights with a scale per 16
};

inline constexpr float kResidualSteps = 254.0f;  // fine steps in one coarse step

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
