// The specification: plain loops, each step rounded as written.
#include <algorithm>
#include <cmath>

#include "kernels/quant/half.h"
#include "kernels/reference_math.h"
#include "kernels/rows/row_kernels.h"

namespace folio::kernels {
namespace {

void rms_norm(const float* x, const float* weight, float epsilon, float* out, std::size_t n) {
  float lanes[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) lanes[i % kLanes] = std::fma(x[i], x[i], lanes[i % kLanes]);
  const float mean = sum_lanes(lanes) / static_cast<float>(n);
  const float scale = 1.0f / std::sqrt(mean + epsilon);
  for (std::size_t i = 0; i < n; ++i) out[i] = (x[i] * scale) * weight[i];
}

void silu_mul(const float* gate, const float* up, float* out, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = (gate[i] / (1.0f + exp_reference(0.0f - gate[i]))) * up[i];
}

// (a, b) -> (a cos - b sin, b cos + a sin), one rounding for the product with sin, one for the sum.
void rotate(float& a, float& b, float cosine, float sine) {
  const float rotated_a = std::fma(a, cosine, -(b * sine));
  const float rotated_b = std::fma(b, cosine, a * sine);
  a = rotated_a;
  b = rotated_b;
}

void rope_adjacent(float* x, const float* cosine, const float* sine, std::size_t pairs) {
  for (std::size_t i = 0; i < pairs; ++i) rotate(x[2 * i], x[2 * i + 1], cosine[i], sine[i]);
}

void rope_halves(float* x, const float* cosine, const float* sine, std::size_t pairs) {
  for (std::size_t i = 0; i < pairs; ++i) rotate(x[i], x[i + pairs], cosine[i], sine[i]);
}

// The largest magnitude of the group that begins at `first`; NaN where a value is not finite.
float group_amax(const float* x, std::size_t n, std::size_t first) {
  float amax = 0;
  for (std::size_t i = first; i < std::min(n, first + kActivationGroup); ++i) {
    if (!std::isfinite(x[i])) return std::nanf("");
    amax = std::max(amax, std::abs(x[i]));
  }
  return amax;
}

// What a group is divided by: the scale, and its inverse, which is 0 where every code is 0.
struct GroupScale {
  float scale, inverse;
};

GroupScale scale_of(float amax, float largest_code) {
  if (std::isnan(amax)) return {.scale = amax, .inverse = 0};
  if (amax < kSmallestGroup) return {.scale = 0, .inverse = 0};
  return {.scale = amax / largest_code, .inverse = largest_code / amax};
}

// Calls code(i, x[i] * inverse rounded) for every value of a group; its result adds to the group's sums.
template <typename Code>
void quantize_group(const float* x, std::size_t n, std::size_t group, float largest_code, QuantizedRow out,
                    Code code) {
  const std::size_t first = group * kActivationGroup;
  const GroupScale by = scale_of(group_amax(x, n, first), largest_code);
  out.scales[group] = by.scale;
  std::int32_t* halves = out.half_sums + group * 2;
  halves[0] = halves[1] = 0;
  for (std::size_t i = first; i < first + kActivationGroup; ++i) {
    const bool empty = by.inverse == 0 || i >= n;
    halves[(i - first) / kLanes] += code(i, empty ? 0.0f : std::nearbyintf(x[i] * by.inverse));
  }
  out.sums[group] = halves[0] + halves[1];
}

void quantize_wide(const float* x, std::size_t n, std::size_t group, QuantizedRow out) {
  out.wide[group] = 1;
  quantize_group(x, n, group, 127.0f * kPlaneStep, out, [&](std::size_t i, float c) {
    const float high = std::nearbyintf(c / kPlaneStep);
    out.codes[i] = static_cast<std::int8_t>(high);
    out.low[i] = static_cast<std::int8_t>(std::clamp(c - high * kPlaneStep, -127.0f, 127.0f));
    return out.codes[i] * static_cast<std::int32_t>(kPlaneStep) + out.low[i];
  });
}

void quantize_narrow(const float* x, std::size_t n, std::size_t group, QuantizedRow out) {
  out.wide[group] = 0;
  quantize_group(x, n, group, 127.0f, out, [&](std::size_t i, float c) {
    out.codes[i] = static_cast<std::int8_t>(c);
    return out.codes[i] * static_cast<std::int32_t>(kPlaneStep);
  });
  out.scales[group] /= kPlaneStep;
}

void quantize16(const float* x, std::size_t n, QuantizedRow out) {
  for (std::size_t group = 0; group < activation_groups(n); ++group) quantize_wide(x, n, group, out);
}

void quantize_mixed(const float* x, std::size_t n, QuantizedRow out) {
  float squares = 0;
  for (std::size_t group = 0; group < activation_groups(n); ++group) {
    const float amax = group_amax(x, n, group * kActivationGroup);
    squares = squares + amax * amax;
  }
  const float bound = kStandsOut * squares / static_cast<float>(activation_groups(n));
  for (std::size_t group = 0; group < activation_groups(n); ++group) {
    const float amax = group_amax(x, n, group * kActivationGroup);
    if (amax * amax > bound)
      quantize_wide(x, n, group, out);
    else
      quantize_narrow(x, n, group, out);
  }
}

void round_bf16(const float* x, std::size_t n, std::uint16_t* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = f32_to_bf16(x[i]);
  if (n % 2 != 0) out[n] = 0;
}

}  // namespace

const RowKernels kRowsReference = {
#define ROW_KERNEL(name, parameters) .name = name,
#include "kernels/rows/kernels.inc"
#undef ROW_KERNEL
};

}  // namespace folio::kernels
