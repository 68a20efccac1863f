// The specification: plain loops, each step rounded as written.
#include <algorithm>
#include <cmath>

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

void quantize_group(const float* x, std::size_t n, std::int8_t* codes, float& scale, std::int32_t& sum) {
  float amax = 0;
  bool finite = true;
  for (std::size_t i = 0; i < n; ++i) {
    amax = std::max(amax, std::abs(x[i]));
    finite = finite && std::isfinite(x[i]);
  }
  std::fill_n(codes, kActivationGroup, std::int8_t{0});
  scale = 0;
  sum = 0;
  if (!finite) {
    scale = std::nanf("");
    return;
  }
  if (amax < kSmallestGroup) return;
  scale = amax / 127.0f;
  const float inverse = 127.0f / amax;
  for (std::size_t i = 0; i < n; ++i) {
    codes[i] = static_cast<std::int8_t>(std::nearbyintf(x[i] * inverse));
    sum += codes[i];
  }
}

void quantize(const float* x, std::size_t n, QuantizedRow out) {
  for (std::size_t i = 0, group = 0; i < n; i += kActivationGroup, ++group)
    quantize_group(x + i, std::min(kActivationGroup, n - i), out.codes + i, out.scales[group],
                   out.sums[group]);
}

void quantize_residual(const float* x, std::size_t n, QuantizedRow coarse, QuantizedRow fine) {
  for (std::size_t group = 0; group * kActivationGroup < n; ++group) {
    const std::size_t first = group * kActivationGroup, count = std::min(kActivationGroup, n - first);
    std::fill_n(fine.codes + first, kActivationGroup, std::int8_t{0});
    fine.sums[group] = 0;
    const float scale = coarse.scales[group];
    const float fine_scale = scale / kResidualSteps;
    fine.scales[group] = fine_scale >= kSmallestGroup ? fine_scale : 0.0f;
    if (!(fine_scale >= kSmallestGroup)) continue;  // also where the group is not finite
    const float inverse = 1.0f / fine_scale;
    for (std::size_t i = first; i < first + count; ++i) {
      const float rest = x[i] - static_cast<float>(coarse.codes[i]) * scale;
      const float code = std::clamp(std::nearbyintf(rest * inverse), -127.0f, 127.0f);
      fine.codes[i] = static_cast<std::int8_t>(code);
      fine.sums[group] += fine.codes[i];
    }
  }
}

}  // namespace

const RowKernels kRowsReference = {
#define ROW_KERNEL(name, parameters) .name = name,
#include "kernels/rows/kernels.inc"
#undef ROW_KERNEL
};

}  // namespace folio::kernels
