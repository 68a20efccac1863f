// The scalar forms of what the vector kernels share: exponential, and the order in which sixteen lanes are
// summed. For reference.cc files, which specify every kernel.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/exp_constants.h"

namespace folio::kernels {

inline constexpr std::size_t kLanes = 16;

inline float exp_reference(float x) {
  if (!(x >= kExpLowest)) return 0.0f;
  const float clamped = std::min(x, kExpHighest);
  const float n = std::nearbyintf(clamped * kLog2E);
  const float r = std::fma(n, -kLn2Low, std::fma(n, -kLn2High, clamped));
  float p = kExpPolynomial[0];
  for (int i = 1; i < kExpTerms; ++i) p = std::fma(p, r, kExpPolynomial[i]);
  p = std::fma(p, r * r, r) + 1.0f;
  return p * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

// Lane l plus lane l + 8, then + 4, + 2, + 1.
inline float sum_lanes(const float* lanes) {
  float s[kLanes];
  std::copy_n(lanes, kLanes, s);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t l = 0; l < half; ++l) s[l] = s[l] + s[l + half];
  return s[0];
}

}  // namespace folio::kernels
