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

void round_bf16(const float* x, std::size_t n, std::uint16_t* out) {
  for_vectors(
      n, [&](std::size_t i) { store_bf16(out + i, load(x + i)); },
      [&](std::size_t i, std::size_t count) {
        std::uint16_t last[kWidth];
        store_bf16(last, load_first(x + i, count));
        __builtin_memcpy(out + i, last, (count + 1) / 2 * 4);
      });
}

// The 32 codes of a group as floats, and what they are multiples of.
struct GroupCodes {
  F32x16 a, b;
  float scale;
};

inline GroupCodes group_codes(F32x16 a, F32x16 b, float amax, float largest_code) {
  if (amax >= kSmallestGroup && amax <= 3.402823466e38f) {
    const F32x16 inverse = set1(largest_code / amax);
    return {round_nearest(mul(a, inverse)), round_nearest(mul(b, inverse)), amax / largest_code};
  }
  return {zero(), zero(), amax < kSmallestGroup ? 0 : __builtin_nanf("")};
}

// The 32 values from x[first] on, zeros past n.
struct GroupValues {
  F32x16 a, b;
  GroupValues(const float* x, std::size_t first, std::size_t n) {
    if (first + kActivationGroup <= n) {
      a = load(x + first);
      b = load(x + first + kWidth);
      return;
    }
    float last[kActivationGroup] = {};
    for (std::size_t i = first; i < n; ++i) last[i - first] = x[i];
    a = load(last);
    b = load(last + kWidth);
  }
};

// Integers whose sums are below 2^24: exact in any order. `step` is a power of two.
inline void store_sums(QuantizedRow out, std::size_t group, F32x16 a, F32x16 b, std::int32_t step = 1) {
  const auto first = static_cast<std::int32_t>(reduce_add(a)) * step,
             last = static_cast<std::int32_t>(reduce_add(b)) * step;
  out.half_sums[group * 2] = first;
  out.half_sums[group * 2 + 1] = last;
  out.sums[group] = first + last;
}

// Writes group `group` of a row as int8.
inline GroupCodes store_high(const GroupValues& v, std::size_t group, float amax, QuantizedRow out) {
  const GroupCodes c = group_codes(v.a, v.b, amax, 127.0f);
  std::int8_t* const codes = out.codes + group * kActivationGroup;
  store_as_int8(codes, c.a);
  store_as_int8(codes + kWidth, c.b);
  return c;
}

// Calls visit(group, its values) for the groups of a row.
template <typename Visit>
inline void for_groups(const float* x, std::size_t n, Visit visit) {
  for (std::size_t group = 0; group < activation_groups(n); ++group)
    visit(group, GroupValues(x, group * kActivationGroup, n));
}

// Writes both planes of sixteen codes and returns what they hold together.
inline F32x16 store_planes(F32x16 code, std::int8_t* high, std::int8_t* low) {
  const F32x16 coarse = round_nearest(mul(code, set1(1.0f / kPlaneStep)));
  const F32x16 rest = sub(code, mul(coarse, set1(kPlaneStep)));
  const F32x16 fine = min(max(rest, set1(-127.0f)), set1(127.0f));
  store_as_int8(high, coarse);
  store_as_int8(low, fine);
  return fma(coarse, set1(kPlaneStep), fine);
}

inline void quantize_wide(const GroupValues& v, std::size_t group, float amax, QuantizedRow out) {
  const std::size_t first = group * kActivationGroup;
  const GroupCodes c = group_codes(v.a, v.b, amax, 127.0f * kPlaneStep);
  const F32x16 a = store_planes(c.a, out.codes + first, out.low + first);
  const F32x16 b = store_planes(c.b, out.codes + first + kWidth, out.low + first + kWidth);
  out.wide[group] = 1;
  out.scales[group] = c.scale;
  store_sums(out, group, a, b);
}

inline void quantize_narrow(const GroupValues& v, std::size_t group, float amax, QuantizedRow out) {
  const GroupCodes c = store_high(v, group, amax, out);
  out.wide[group] = 0;
  out.scales[group] = c.scale / kPlaneStep;
  store_sums(out, group, c.a, c.b, static_cast<std::int32_t>(kPlaneStep));
}

void quantize16(const float* x, std::size_t n, QuantizedRow out) {
  for_groups(x, n, [&](std::size_t group, const GroupValues& v) {
    quantize_wide(v, group, largest_magnitude(v.a, v.b), out);
  });
}

void quantize_mixed(const float* x, std::size_t n, QuantizedRow out) {
  float squares = 0;
  for_groups(x, n, [&](std::size_t group, const GroupValues& v) {
    const float amax = out.scales[group] = largest_magnitude(v.a, v.b);
    squares = squares + amax * amax;
  });
  const float bound = kStandsOut * squares / static_cast<float>(activation_groups(n));
  for_groups(x, n, [&](std::size_t group, const GroupValues& v) {
    const float amax = out.scales[group];
    if (amax * amax > bound)
      quantize_wide(v, group, amax, out);
    else
      quantize_narrow(v, group, amax, out);
  });
}

}  // namespace
}  // namespace folio::kernels
