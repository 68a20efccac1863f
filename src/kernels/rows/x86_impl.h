// The row kernels in the sixteen-lane vocabulary; included by x86_avx2.cc and x86_avx512.cc after their simd
// header.
#pragma once

#include "kernels/rows/row_kernels.h"
#include "kernels/simd/exp.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kWidth = 16;

// Calls full(i) for each whole vector of [0, n), then tail(i, count) for the rest.
template <typename Full, typename Tail>
inline void for_vectors(std::size_t n, Full full, Tail tail) {
  std::size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) full(i);
  if (i < n) tail(i, n - i);
}

void rms_norm(const float* x, const float* weight, float epsilon, float* out, std::size_t n) {
  F32x16 squares = zero();
  const auto accumulate = [&](F32x16 v) { squares = fma(v, v, squares); };
  for_vectors(
      n, [&](std::size_t i) { accumulate(load(x + i)); },
      [&](std::size_t i, std::size_t count) { accumulate(load_first(x + i, count)); });
  const float mean = reduce_add(squares) / static_cast<float>(n);
  const F32x16 scale = set1(1.0f / __builtin_sqrtf(mean + epsilon));
  for_vectors(
      n, [&](std::size_t i) { store(out + i, mul(mul(load(x + i), scale), load(weight + i))); },
      [&](std::size_t i, std::size_t count) {
        store_first(out + i, mul(mul(load_first(x + i, count), scale), load_first(weight + i, count)), count);
      });
}

inline F32x16 silu_times(F32x16 gate, F32x16 up) {
  const F32x16 sigmoid_inverse = add(set1(1.0f), exp_lanes(sub(zero(), gate)));
  return mul(div(gate, sigmoid_inverse), up);
}

void silu_mul(const float* gate, const float* up, float* out, std::size_t n) {
  for_vectors(
      n, [&](std::size_t i) { store(out + i, silu_times(load(gate + i), load(up + i))); },
      [&](std::size_t i, std::size_t count) {
        store_first(out + i, silu_times(load_first(gate + i, count), load_first(up + i, count)), count);
      });
}

inline void rotate_scalar(float& a, float& b, float cosine, float sine) {
  const float rotated_a = __builtin_fmaf(a, cosine, -(b * sine));
  const float rotated_b = __builtin_fmaf(b, cosine, a * sine);
  a = rotated_a;
  b = rotated_b;
}

void rope_adjacent(float* x, const float* cosine, const float* sine, std::size_t pairs) {
  for (std::size_t i = 0; i < pairs; ++i) rotate_scalar(x[2 * i], x[2 * i + 1], cosine[i], sine[i]);
}

void rope_halves(float* x, const float* cosine, const float* sine, std::size_t pairs) {
  std::size_t i = 0;
  for (; i + kWidth <= pairs; i += kWidth) {
    const F32x16 a = load(x + i), b = load(x + pairs + i), c = load(cosine + i), s = load(sine + i);
    store(x + i, fma(a, c, sub(set1(-0.0f), mul(b, s))));  // -0 - y is -y for every y; 0 - 0 would be +0
    store(x + pairs + i, fma(b, c, mul(a, s)));
  }
  for (; i < pairs; ++i) rotate_scalar(x[i], x[i + pairs], cosine[i], sine[i]);
}

// Writes the two registers of codes of group `group` and their sums: small integers, exact in any order.
inline void store_codes(QuantizedRow out, std::size_t group, F32x16 code_a, F32x16 code_b) {
  store_as_int8(out.codes + group * kActivationGroup, code_a);
  store_as_int8(out.codes + group * kActivationGroup + kWidth, code_b);
  const auto first = static_cast<std::int32_t>(reduce_add(code_a));
  const auto last = static_cast<std::int32_t>(reduce_add(code_b));
  out.half_sums[group * 2] = first;
  out.half_sums[group * 2 + 1] = last;
  out.sums[group] = first + last;
}

void quantize_group(F32x16 a, F32x16 b, QuantizedRow out, std::size_t group) {
  const float amax = reduce_max(max(abs(a), abs(b)));
  F32x16 inverse = zero();
  float& scale = out.scales[group];
  scale = 0;
  if (!(amax < kSmallestGroup)) {
    const bool finite = amax <= 3.402823466e38f;
    scale = finite ? amax / 127.0f : __builtin_nanf("");
    if (finite) inverse = set1(127.0f / amax);
    if (!finite) a = b = zero();
  }
  F32x16 code_a = round_nearest(mul(a, inverse)), code_b = round_nearest(mul(b, inverse));
  const float total = reduce_add(add(code_a, code_b));
  if (total != total) {  // max() may pass over a NaN, a sum cannot
    scale = __builtin_nanf("");
    code_a = code_b = zero();
  }
  store_codes(out, group, code_a, code_b);
}

void quantize(const float* x, std::size_t n, QuantizedRow out) {
  std::size_t group = 0;
  for (; (group + 1) * kActivationGroup <= n; ++group) {
    const float* v = x + group * kActivationGroup;
    quantize_group(load(v), load(v + kWidth), out, group);
  }
  if (group * kActivationGroup == n) return;
  float last[kActivationGroup] = {};
  for (std::size_t i = group * kActivationGroup; i < n; ++i) last[i % kActivationGroup] = x[i];
  quantize_group(load(last), load(last + kWidth), out, group);
}

inline F32x16 residual_codes(F32x16 x, const std::int8_t* coarse, float scale, F32x16 inverse) {
  const F32x16 rest = sub(x, mul(load_int8(coarse), set1(scale)));
  return min(max(round_nearest(mul(rest, inverse)), set1(-127.0f)), set1(127.0f));
}

void residual_group(F32x16 a, F32x16 b, QuantizedRow coarse, QuantizedRow fine, std::size_t group) {
  const float scale = coarse.scales[group], finer = scale / kResidualSteps;
  fine.scales[group] = finer >= kSmallestGroup ? finer : 0.0f;
  F32x16 code_a = zero(), code_b = zero();
  if (finer >= kSmallestGroup) {
    const F32x16 inverse = set1(1.0f / finer);
    const std::int8_t* codes = coarse.codes + group * kActivationGroup;
    code_a = residual_codes(a, codes, scale, inverse);
    code_b = residual_codes(b, codes + kWidth, scale, inverse);
  }
  store_codes(fine, group, code_a, code_b);
}

void quantize_residual(const float* x, std::size_t n, QuantizedRow coarse, QuantizedRow fine) {
  for (std::size_t group = 0; group * kActivationGroup < n; ++group) {
    const std::size_t first = group * kActivationGroup;
    float last[kActivationGroup] = {};
    const float* v = x + first;
    if (first + kActivationGroup > n) {
      for (std::size_t i = first; i < n; ++i) last[i - first] = x[i];
      v = last;
    }
    residual_group(load(v), load(v + kWidth), coarse, fine, group);
  }
}

}  // namespace
}  // namespace folio::kernels
