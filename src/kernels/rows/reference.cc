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

// The sums of group `group`, whose codes are done.
void sum_codes(QuantizedRow row, std::size_t group) {
  const std::int8_t* codes = row.codes + group * kActivationGroup;
  std::int32_t* halves = row.half_sums + group * 2;
  halves[0] = halves[1] = 0;
  for (std::size_t i = 0; i < kActivationGroup; ++i) halves[i / kLanes] += codes[i];
  row.sums[group] = halves[0] + halves[1];
}

void quantize_group(const float* x, std::size_t n, std::int8_t* codes, float& scale) {
  float amax = 0;
  bool finite = true;
  for (std::size_t i = 0; i < n; ++i) {
    amax = std::max(amax, std::abs(x[i]));
    finite = finite && std::isfinite(x[i]);
  }
  std::fill_n(codes, kActivationGroup, std::int8_t{0});
  scale = 0;
  if (!finite) {
    scale = std::nanf("");
    return;
  }
  if (amax < kSmallestGroup) return;
  scale = amax / 127.0f;
  const float inverse = 127.0f / amax;
  for (std::size_t i = 0; i < n; ++i) codes[i] = static_cast<std::int8_t>(std::nearbyintf(x[i] * inverse));
}

void quantize(const float* x, std::size_t n, QuantizedRow out) {
  for (std::size_t i = 0, group = 0; i < n; i += kActivationGroup, ++group) {
    quantize_group(x + i, std::min(kActivationGroup, n - i), out.codes + i, out.scales[group]);
    sum_codes(out, group);
  }
}

void quantize_residual(const float* x, std::size_t n, QuantizedRow coarse, QuantizedRow fine) {
  for (std::size_t group = 0; group * kActivationGroup < n; ++group) {
    const std::size_t first = group * kActivationGroup, count = std::min(kActivationGroup, n - first);
    std::fill_n(fine.codes + first, kActivationGroup, std::int8_t{0});
    const float scale = coarse.scales[group];
    const float fine_scale = scale / kResidualSteps;
    fine.scales[group] = fine_scale >= kSmallestGroup ? fine_scale : 0.0f;
    if (fine_scale >= kSmallestGroup) {  // not where the group is not finite either
      const float inverse = 1.0f / fine_scale;
      for (std::size_t i = first; i < first + count; ++i) {
        const float rest = x[i] - static_cast<float>(coarse.codes[i]) * scale;
        const float code = std::clamp(std::nearbyintf(rest * inverse), -127.0f, 127.0f);
        fine.codes[i] = static_cast<std::int8_t>(code);
      }
    }
    sum_codes(fine, group);
  }
}

}  // namespace

const RowKernels kRowsReference = {
#define ROW_KERNEL(name, parameters) .name = name,
#include "kernels/rows/kernels.inc"
#undef ROW_KERNEL
};

}  // namespace folio::kernels
