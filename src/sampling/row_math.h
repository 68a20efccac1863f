// Arithmetic over a row of logits, written so that loops over it vectorise, and so that the bits are the same
// on every machine: no libm, no contraction, additions and multiplications in a stated order.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <span>

namespace folio::sampling {

// e^x. Relative error below 1.5e-7 for x >= -87 (tested against libm); 0 for x < -87, where e^x < 2^-125.
// Requires: x <= 0 (-infinity included), not NaN.
inline float exp_nonpositive(float x) {
  constexpr float kSmallest = -87.0F;
  constexpr float kLog2E = 1.44269504F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  constexpr float kLn2High = 0.693359375F;  // n * kLn2High is exact for |n| < 2^15
  constexpr float kLn2Low = -2.12194440e-4F;
  const float clamped = x < kSmallest ? kSmallest : x;
  const float shifted = clamped * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;  // |r| <= ln(2) / 2 and a little
  // Taylor to r^7: the first term left out, r^8 / 8!, is below 6e-9.
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = (p * r) * r + r + 1.0F;
  const auto exponent = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRound);
  const float scale = std::bit_cast<float>((exponent + 127) << 23);
  return x < kSmallest ? 0.0F : p * scale;
}

// The largest value; -infinity for an empty row. Requires: no NaN.
inline float largest_of(std::span<const float> row) {
  constexpr std::size_t kLanes = 8;
  std::array<float, kLanes> lanes;
  lanes.fill(-std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= row.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] = std::max(lanes[lane], row[i + lane]);
  for (; i < row.size(); ++i) lanes[0] = std::max(lanes[0], row[i]);
  return *std::ranges::max_element(lanes);
}

}  // namespace folio::sampling
