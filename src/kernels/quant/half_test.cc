#include "kernels/quant/half.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

namespace folio::kernels {
namespace {

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

// The value of a finite f16 from its definition.
double f16_value(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int mantissa = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

// `value` rounded to `precision` bits and exponents from `min_exponent` on, halves to even, in double.
double rounded(double value, int precision, int min_exponent) {
  if (value == 0.0) return value;
  const int exponent = std::max(std::ilogb(value), min_exponent);
  return std::ldexp(std::nearbyint(std::ldexp(value, precision - 1 - exponent)), exponent - precision + 1);
}

// Float32 numbers of all sizes, with many near f16's and bf16's halfway points.
rc::Gen<float> any_finite() {
  return rc::gen::suchThat(
      rc::gen::map(rc::gen::arbitrary<std::pair<std::uint32_t, bool>>(),
                   [](const auto& p) {
                     const std::uint32_t halfway = (p.first & 0xffffe000u) | (p.first & 1u) | 0x1000u;
                     return std::bit_cast<float>(p.second ? halfway : p.first * 2654435761u);
                   }),
      [](float value) { return std::isfinite(value); });
}

TEST(Half, EveryFiniteF16HasItsValueAndComesBack) {
  for (std::uint32_t half = 0; half < 0x10000; ++half) {
    if ((half & 0x7c00) == 0x7c00) continue;
    const auto h = static_cast<std::uint16_t>(half);
    const float value = f16_to_f32(h);
    ASSERT_EQ(static_cast<double>(value), f16_value(h)) << half;
    ASSERT_EQ(std::signbit(value), (half & 0x8000) != 0) << half;
    ASSERT_EQ(f32_to_f16(value), h);
  }
}

TEST(Half, InfinitiesAndNaNsOfF16) {
  EXPECT_EQ(bits(f16_to_f32(0x7c00)), 0x7f800000u);
  EXPECT_EQ(bits(f16_to_f32(0xfc00)), 0xff800000u);
  EXPECT_EQ(bits(f16_to_f32(0x7c01)), 0x7fc02000u) << "a signalling NaN becomes quiet and keeps its payload";
  EXPECT_EQ(bits(f16_to_f32(0xfe00)), 0xffc00000u);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_EQ(f32_to_f16(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(f32_to_f16(std::bit_cast<float>(0x7f800001u)), 0x7e00);
  EXPECT_EQ(f32_to_f16(std::bit_cast<float>(0xffc02000u)), 0xfe01);
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
}

RC_GTEST_PROP(Half, F32ToF16RoundsToNearestEven, ()) {
  const float value = *any_finite();
  const double want = rounded(value, 11, -14);
  const std::uint16_t half = f32_to_f16(value);
  RC_ASSERT(std::signbit(f16_to_f32(half)) == std::signbit(value));
  if (std::fabs(want) > 65504.0) {
    RC_ASSERT((half & 0x7fff) == 0x7c00);
  } else {
    RC_ASSERT(static_cast<double>(f16_to_f32(half)) == want);
  }
}

TEST(Half, F16SubnormalsRoundToNearestEven) {
  for (std::uint32_t i = 0; i < 3 * 4096;
       ++i) {  // quarters of the smallest step, around the first normal numbers too
    const float value = std::ldexp(static_cast<float>(i), -26);
    ASSERT_EQ(static_cast<double>(f16_to_f32(f32_to_f16(value))), rounded(value, 11, -14)) << i;
  }
}

TEST(Half, EveryBf16IsTheUpperHalfOfAFloat) {
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
    const auto b = static_cast<std::uint16_t>(upper);
    ASSERT_EQ(bits(bf16_to_f32(b)), upper << 16);
    const bool nan = (upper & 0x7fff) > 0x7f80;
    ASSERT_EQ(f32_to_bf16(bf16_to_f32(b)), nan ? upper | 0x40 : upper);
  }
}

RC_GTEST_PROP(Half, F32ToBf16RoundsToNearestEven, ()) {
  const float value = *any_finite();
  const double want = rounded(value, 8, -126);
  const float got = bf16_to_f32(f32_to_bf16(value));
  RC_ASSERT(std::signbit(got) == std::signbit(value));
  if (std::isinf(got)) {
    RC_ASSERT(std::fabs(want) >= std::ldexp(1.0, 128));
  } else {
    RC_ASSERT(static_cast<double>(got) == want);
  }
}

static_assert(f32_to_f16(1.0f) == 0x3c00 && f16_to_f32(0x3c00) == 1.0f);
static_assert(f32_to_bf16(1.0f) == 0x3f80 && bf16_to_f32(0x3f80) == 1.0f);

}  // namespace
}  // namespace folio::kernels
