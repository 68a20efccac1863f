// Row kernels: each instruction set against reference.cc bit for bit, and reference.cc against double
// precision. u is the unit roundoff of float, 2^-24; bounds are first-order in u with 1 % on top for the
// rest.
#include "kernels/rows/row_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/reference_math.h"
#include "support/kernel_inputs.h"

namespace folio::kernels {
namespace {

using test::difference;
using test::floats;
using test::Guarded;
using test::kAllValues;
using test::kUnitRoundoff;
using test::Random;
using test::Values;

struct Quantized {
  explicit Quantized(std::size_t n)
      : codes(activation_groups(n) * kActivationGroup),
        low(codes.span().size()),
        wide(activation_groups(n)),
        scales(activation_groups(n)),
        sums(scales.span().size()),
        half_sums(scales.span().size() * 2) {}
  QuantizedRow row() {
    return {.codes = codes.data(),
            .low = low.data(),
            .wide = wide.data(),
            .scales = scales.data(),
            .sums = sums.data(),
            .half_sums = half_sums.data()};
  }
  Guarded<std::int8_t> codes, low;
  Guarded<std::uint8_t> wide;
  Guarded<float> scales;
  Guarded<std::int32_t> sums, half_sums;
};

using Quantize = void (*)(const float* x, std::size_t n, QuantizedRow out);

Quantized quantized(Quantize quantize, const std::vector<float>& x) {
  Quantized out(x.size());
  quantize(x.data(), x.size(), out.row());
  EXPECT_TRUE(out.codes.intact() && out.low.intact() && out.wide.intact() && out.scales.intact() &&
              out.sums.intact() && out.half_sums.intact())
      << x.size();
  return out;
}

void expect_same(Quantized expected, Quantized actual) {
  EXPECT_EQ(difference(expected.codes.span(), actual.codes.span()), "");
  EXPECT_EQ(difference(expected.low.span(), actual.low.span()), "");
  EXPECT_EQ(difference(expected.wide.span(), actual.wide.span()), "");
  EXPECT_EQ(difference(expected.scales.span(), actual.scales.span()), "");
  EXPECT_EQ(difference(expected.sums.span(), actual.sums.span()), "");
  EXPECT_EQ(difference(expected.half_sums.span(), actual.half_sums.span()), "");
}

// ---- one comparison per kernel of kernels.inc, by its name: a kernel without one does not compile

void compare_rms_norm(const RowKernels& kernels, std::size_t n, Values kind, Random& random) {
  const std::vector<float> x = floats(kind, n, random), weight = floats(Values::kSpread, n, random);
  for (float epsilon : {1e-5f, 0.0f}) {
    if (epsilon == 0 && kind != Values::kNormal) continue;  // 0 / 0 is not a number
    Guarded<float> expected(n), actual(n), in_place(x);
    kRowsReference.rms_norm(x.data(), weight.data(), epsilon, expected.data(), n);
    kernels.rms_norm(x.data(), weight.data(), epsilon, actual.data(), n);
    kernels.rms_norm(in_place.data(), weight.data(), epsilon, in_place.data(), n);
    EXPECT_EQ(difference(expected.span(), actual.span()), "");
    EXPECT_EQ(difference(expected.span(), in_place.span()), "");
    EXPECT_TRUE(actual.intact() && in_place.intact());
  }
}

void compare_silu_mul(const RowKernels& kernels, std::size_t n, Values kind, Random& random) {
  std::vector<float> gate = floats(kind, n, random);
  const std::vector<float> up = floats(Values::kSpread, n, random);
  if (kind == Values::kNormal)  // the whole range of the exponential, and beyond both ends
    for (float& g : gate) g *= 40;
  Guarded<float> expected(n), actual(n), in_gate(gate), in_up(up);
  kRowsReference.silu_mul(gate.data(), up.data(), expected.data(), n);
  kernels.silu_mul(gate.data(), up.data(), actual.data(), n);
  kernels.silu_mul(in_gate.data(), up.data(), in_gate.data(), n);
  kernels.silu_mul(gate.data(), in_up.data(), in_up.data(), n);
  EXPECT_EQ(difference(expected.span(), actual.span()), "");
  EXPECT_EQ(difference(expected.span(), in_gate.span()), "");
  EXPECT_EQ(difference(expected.span(), in_up.span()), "");
  EXPECT_TRUE(actual.intact() && in_gate.intact() && in_up.intact());
}

struct Angles {
  std::vector<float> cosine, sine;
};

Angles angles(std::size_t pairs, Random& random) {
  Angles out{std::vector<float>(pairs), std::vector<float>(pairs)};
  for (std::size_t i = 0; i < pairs; ++i) {
    const double angle = i == 0 ? 0 : 8.0 * random.unit();
    out.cosine[i] = static_cast<float>(std::cos(angle));
    out.sine[i] = static_cast<float>(std::sin(angle));
  }
  return out;
}

void compare_rope(decltype(RowKernels::rope_halves) expected_kernel, decltype(RowKernels::rope_halves) kernel,
                  std::size_t pairs, Values kind, Random& random) {
  const Angles turn = angles(pairs, random);
  const std::vector<float> x = floats(kind, 2 * pairs, random);
  Guarded<float> expected(x), actual(x);
  expected_kernel(expected.data(), turn.cosine.data(), turn.sine.data(), pairs);
  kernel(actual.data(), turn.cosine.data(), turn.sine.data(), pairs);
  EXPECT_EQ(difference(expected.span(), actual.span()), "");
  EXPECT_TRUE(actual.intact());
}

void compare_rope_adjacent(const RowKernels& kernels, std::size_t n, Values kind, Random& random) {
  compare_rope(kRowsReference.rope_adjacent, kernels.rope_adjacent, n, kind, random);
}

void compare_rope_halves(const RowKernels& kernels, std::size_t n, Values kind, Random& random) {
  compare_rope(kRowsReference.rope_halves, kernels.rope_halves, n, kind, random);
}

// Some groups unlike the others: zeros, one not finite, the largest, denormals.
std::vector<float> with_odd_groups(std::size_t n, Values kind, Random& random) {
  std::vector<float> x = floats(kind, n, random);
  for (std::size_t group = 0; group * kActivationGroup < n; ++group) {
    float* values = x.data() + group * kActivationGroup;
    const std::size_t count = std::min(kActivationGroup, n - group * kActivationGroup);
    switch (random.below(6)) {
      case 0:
        std::fill_n(values, count, 0.0f);
        break;
      case 1:
        values[random.below(count)] = -std::numeric_limits<float>::infinity();
        break;
      case 2:
        values[random.below(count)] = std::numeric_limits<float>::max();
        break;
      case 3:
        std::fill_n(values, count, random.unit() * 1e-40f);
        break;
      default:
        break;
    }
  }
  return x;
}

void compare_quantize16(const RowKernels& kernels, std::size_t n, Values kind, Random& random) {
  const std::vector<float> x = with_odd_groups(n, kind, random);
  expect_same(quantized(kRowsReference.quantize16, x), quantized(kernels.quantize16, x));
}

void compare_quantize_mixed(const RowKernels& kernels, std::size_t n, Values kind, Random& random) {
  const std::vector<float> x = with_odd_groups(n, kind, random);
  expect_same(quantized(kRowsReference.quantize_mixed, x), quantized(kernels.quantize_mixed, x));
  const std::vector<float> usual = floats(kind, n, random);
  expect_same(quantized(kRowsReference.quantize_mixed, usual), quantized(kernels.quantize_mixed, usual));
}

void compare_round_bf16(const RowKernels& kernels, std::size_t n, Values kind, Random& random) {
  std::vector<float> x = floats(kind, n, random);
  if (kind == Values::kNormal)  // any bits: both infinities and every kind of NaN too
    for (float& value : x) value = std::bit_cast<float>(static_cast<std::uint32_t>(random.bits() >> 32));
  Guarded<std::uint16_t> expected(n + n % 2), actual(n + n % 2);
  kRowsReference.round_bf16(x.data(), n, expected.data());
  kernels.round_bf16(x.data(), n, actual.data());
  EXPECT_EQ(difference(expected.span(), actual.span()), "");
  EXPECT_TRUE(actual.intact());
}

struct Comparison {
  const char* kernel;
  void (*compare)(const RowKernels& kernels, std::size_t n, Values kind, Random& random);
};
constexpr Comparison kComparisons[] = {
#define ROW_KERNEL(name, parameters) {#name, compare_##name},
#include "kernels/rows/kernels.inc"
#undef ROW_KERNEL
};

TEST(RowKernels, EveryInstructionSetGivesTheBitsOfTheReference) {
  for (Isa isa : test::tested_isas())
    for (const Comparison& comparison : kComparisons) {
      Random random(7);
      for (std::size_t n : test::sizes_around_vectors())
        for (Values kind : kAllValues) {
          SCOPED_TRACE(fmt::format("{} under {}, n {}, values {}", comparison.kernel, name(isa), n,
                                   static_cast<int>(kind)));
          comparison.compare(kernel_set(isa).rows, n, kind, random);
          if (testing::Test::HasFailure()) return;
        }
    }
}

// Every sign of zero in every place: -(b * sin) is not 0 - b * sin.
TEST(RowKernels, RotatingZerosKeepsTheSignsOfTheReference) {
  constexpr std::size_t kPairs = 33;
  const auto zero = [](std::size_t bit) { return bit % 2 == 0 ? 0.0f : -0.0f; };
  for (Isa isa : test::tested_isas())
    for (std::size_t signs = 0; signs < 16; ++signs) {
      std::vector<float> x(2 * kPairs), cosine(kPairs, signs & 4 ? -0.5f : 0.5f),
          sine(kPairs, signs & 8 ? -0.5f : 0.5f);
      for (std::size_t i = 0; i < kPairs; ++i) {
        x[i] = zero(signs);
        x[i + kPairs] = zero(signs >> 1);
      }
      std::vector<float> expected = x, actual = x;
      kRowsReference.rope_halves(expected.data(), cosine.data(), sine.data(), kPairs);
      kernel_set(isa).rows.rope_halves(actual.data(), cosine.data(), sine.data(), kPairs);
      ASSERT_EQ(difference(expected, actual), "") << name(isa) << ", signs " << signs;
    }
}

// ---- what the numbers mean

// The ends, the ties and their neighbours; an odd row's padding.
TEST(RowKernels, RoundingToBf16TakesTheNearestAndTheEvenOfTwo) {
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  const std::pair<float, std::uint16_t> cases[] = {
      {0.0f, 0x0000},           {-0.0f, 0x8000},         {1.0f, 0x3f80},
      {0x1.01p0f, 0x3f80},      {0x1.010002p0f, 0x3f81}, {0x1.03p0f, 0x3f82},
      {-0x1.02fffep0f, 0xbf81}, {0x1.fep127f, 0x7f7f},   {0x1.fefffep127f, 0x7f7f},
      {0x1.ffp127f, 0x7f80},    {-infinity, 0xff80},     {0x1p-133f, 0x0001},
      {0x1p-134f, 0x0000},      {0x1.8p-133f, 0x0002},   {0x1.fffffcp-127f, 0x0080}};
  for (Isa isa : test::tested_isas())
    for (const auto& [x, expected] : cases) {
      const float row[] = {nan, x, x};
      std::uint16_t out[4] = {1, 1, 1, 1};
      kernel_set(isa).rows.round_bf16(row, 3, out);
      EXPECT_EQ(out[1], expected) << name(isa) << ", " << x;
      EXPECT_EQ(out[2], expected) << name(isa) << ", " << x;
      EXPECT_EQ(out[0] & 0x7fc0, 0x7fc0) << name(isa);
      EXPECT_EQ(out[3], 0) << name(isa);
    }
}

// Relative to the true value; one ulp of a float is at least u and at most 2 u of it.
double ulps(float actual, double exact) {
  int exponent;
  std::frexp(exact, &exponent);
  return std::abs(static_cast<double>(actual) - exact) / std::ldexp(1.0, exponent - 24);
}

// Every 499th float of each sign with a magnitude of up to 88. The vector forms are the same bits: silu_mul
// above.
TEST(RowKernels, ExponentialIsWithinTwoUlps) {
  double worst = 0;
  const auto last = std::bit_cast<std::uint32_t>(88.0f);
  for (std::uint32_t bits = 0; bits <= last; bits += test::kSlowBuild ? 9973 : 499)
    for (std::uint32_t sign : {0u, 0x80000000u}) {
      const float x = std::bit_cast<float>(bits | sign);
      if (x < kExpLowest) {
        ASSERT_EQ(exp_reference(x), 0.0f) << x;
        continue;
      }
      const double error = ulps(exp_reference(x), std::exp(static_cast<double>(x)));
      ASSERT_LE(error, 2.0) << x;
      worst = std::max(worst, error);
    }
  std::printf("worst error of exp: %.3f ulp\n", worst);
}

TEST(RowKernels, ExponentialAtItsEnds) {
  const float lowest = kExpLowest, highest = kExpHighest;
  EXPECT_EQ(exp_reference(0.0f), 1.0f);
  EXPECT_EQ(exp_reference(-0.0f), 1.0f);
  EXPECT_LE(ulps(exp_reference(lowest), std::exp(static_cast<double>(lowest))), 2.0);
  EXPECT_TRUE(std::isnormal(exp_reference(lowest)));
  EXPECT_EQ(exp_reference(std::nextafterf(lowest, -100.0f)), 0.0f);
  EXPECT_LE(ulps(exp_reference(highest), std::exp(static_cast<double>(highest))), 2.0);
  EXPECT_EQ(exp_reference(1e30f), exp_reference(highest)) << "finite and largest for all that is above";
  EXPECT_EQ(exp_reference(std::numeric_limits<float>::infinity()), exp_reference(highest));
  EXPECT_EQ(exp_reference(-std::numeric_limits<float>::infinity()), 0.0f);
}

// The sum of squares has only positive terms: n / 16 fused additions per lane and 4 across lanes, each within
// u, make it (n / 16 + 4) u; dividing by n and adding epsilon 2 u. The square root halves that and adds u, as
// do the reciprocal and the two products.
TEST(RowKernels, RmsNormIsTheMathematicsWithinItsRoundings) {
  Random random(11);
  for (std::size_t n : {1, 7, 16, 64, 576, 2048, 4099}) {
    const std::vector<float> x = floats(Values::kNormal, n, random),
                             weight = floats(Values::kNormal, n, random);
    std::vector<float> out(n);
    kRowsReference.rms_norm(x.data(), weight.data(), 1e-5f, out.data(), n);
    double squares = 0;
    for (float v : x) squares += static_cast<double>(v) * v;
    const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + static_cast<double>(1e-5f));
    const double roundings = (std::ceil(static_cast<double>(n) / 16) + 4 + 2) / 2 + 4;
    for (std::size_t i = 0; i < n; ++i) {
      const double exact = x[i] * scale * weight[i];
      ASSERT_LE(std::abs(out[i] - exact), 1.01 * roundings * kUnitRoundoff * std::abs(exact))
          << n << " [" << i << "]";
    }
  }
}

// e^-g within 2 ulp is within 4 u; 1 + e^-g adds u, the quotient and the product u each: 7 u.
TEST(RowKernels, SiluIsTheMathematicsWithinItsRoundings) {
  Random random(12);
  constexpr std::size_t kCount = 100'000;
  std::vector<float> gate(kCount), up = floats(Values::kNormal, kCount, random), out(kCount);
  for (float& g : gate) g = 60 * random.unit();
  kRowsReference.silu_mul(gate.data(), up.data(), out.data(), kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    const double exact = gate[i] / (1 + std::exp(-static_cast<double>(gate[i]))) * up[i];
    ASSERT_LE(std::abs(out[i] - exact), 1.01 * 7 * kUnitRoundoff * std::abs(exact)) << gate[i];
  }
}

// Below the exponential's range the quotient is |g| / e^88.4 at most: nothing, on the side of zero where g
// is.
TEST(RowKernels, SiluFarOutIsItsLimits) {
  const std::vector<float> gate = {-89, -200, -1e10f, 100, 3e38f}, up(5, 1.0f);
  std::vector<float> out(5);
  kRowsReference.silu_mul(gate.data(), up.data(), out.data(), 5);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_LE(out[i], 0);
    EXPECT_GE(out[i], gate[i] * 5e-39f);
  }
  EXPECT_EQ(out[3], 100.0f);
  EXPECT_EQ(out[4], 3e38f);
}

// a cos - b sin: u of the rounded product, u of the sum.
TEST(RowKernels, RotationIsTheMathematicsWithinItsRoundings) {
  Random random(13);
  constexpr std::size_t kPairs = 4096;
  const Angles turn = angles(kPairs, random);
  const std::vector<float> x = floats(Values::kNormal, 2 * kPairs, random);
  std::vector<float> adjacent = x, halves = x;
  kRowsReference.rope_adjacent(adjacent.data(), turn.cosine.data(), turn.sine.data(), kPairs);
  kRowsReference.rope_halves(halves.data(), turn.cosine.data(), turn.sine.data(), kPairs);
  const auto check = [&](float first, float second, float new_first, float new_second, std::size_t i) {
    const double a = first, b = second, c = turn.cosine[i], s = turn.sine[i];
    const double exact_a = a * c - b * s, exact_b = b * c + a * s;
    EXPECT_LE(std::abs(new_first - exact_a), 1.01 * kUnitRoundoff * (std::abs(b * s) + std::abs(exact_a)));
    EXPECT_LE(std::abs(new_second - exact_b), 1.01 * kUnitRoundoff * (std::abs(a * s) + std::abs(exact_b)));
  };
  for (std::size_t i = 0; i < kPairs; ++i) {
    check(x[2 * i], x[2 * i + 1], adjacent[2 * i], adjacent[2 * i + 1], i);
    check(x[i], x[i + kPairs], halves[i], halves[i + kPairs], i);
  }
}

// A group that does not stand out: code = round(x * fl(127 / amax)): two roundings of a number up to 127, so
// it is within 1/2 + 2 * 127 u of 127 x / amax, and code * scale, scale = amax / 127 (1 + u), within that
// times the scale plus 127 u scale of x.
TEST(RowKernels, QuantizationIsWithinHalfAStep) {
  Random random(14);
  std::size_t narrow = 0;
  for (Values kind :
       {Values::kNormal, Values::kSpread, Values::kHuge, Values::kOneHuge, Values::kAlternating}) {
    const std::vector<float> x = floats(kind, 999, random);
    Quantized out = quantized(kRowsReference.quantize_mixed, x);
    for (std::size_t group = 0; group < out.scales.span().size(); ++group) {
      if (out.wide.span()[group] != 0) continue;
      ++narrow;
      const double scale = 256.0 * out.scales.span()[group];
      int halves[2] = {}, largest = 0;
      for (std::size_t i = group * 32; i < group * 32 + 32; ++i) {
        const int code = out.codes.span()[i];
        halves[i % 32 / 16] += code;
        largest = std::max(largest, std::abs(code));
        const double exact = i < x.size() ? x[i] : 0;
        ASSERT_LE(std::abs(code * scale - exact), (0.5 + 1.01 * 3 * 127 * kUnitRoundoff) * scale) << i;
      }
      EXPECT_EQ(256 * halves[0], out.half_sums.span()[group * 2]);
      EXPECT_EQ(256 * halves[1], out.half_sums.span()[group * 2 + 1]);
      EXPECT_EQ(256 * (halves[0] + halves[1]), out.sums.span()[group]);
      EXPECT_EQ(largest, 127) << "the whole range is used";
    }
  }
  EXPECT_GT(narrow, 100u);
}

struct OddGroup {
  const char* what;
  float filler, odd;
  float scale;  // expected; NaN: any NaN
};

TEST(RowKernels, QuantizationOfOddGroups) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const OddGroup cases[] = {
      {"zeros", 0, -0.0f, 0},
      {"denormals", 1e-40f, -2e-40f, 0},
      {"just too small", 0, 9.9e-31f, 0},
      {"infinity", 1, infinity, nan},
      {"minus infinity", 1, -infinity, nan},
      {"not a number", 1, nan, nan},
      {"not a number among zeros", 0, nan, nan},
      {"NaN and infinity", infinity, -nan, nan},
  };
  for (Isa isa : test::tested_isas())
    for (const OddGroup& odd : cases)
      for (std::size_t n : {1, 13, 31, 32, 33, 64, 65})
        for (std::size_t place : {std::size_t{0}, n / 2, n - 1}) {
          SCOPED_TRACE(fmt::format("{} under {}, n {}, at {}", odd.what, name(isa), n, place));
          std::vector<float> x(n, odd.filler);
          x[place] = odd.odd;
          const RowKernels& rows = kernel_set(isa).rows;
          for (const auto quantize : {rows.quantize16, rows.quantize_mixed}) {
            const Quantized out = quantized(quantize, x);
            const std::size_t group = place / kActivationGroup;
            const auto codes = out.codes.span().subspan(group * kActivationGroup, kActivationGroup);
            EXPECT_TRUE(std::ranges::all_of(codes, [](int code) { return code == 0; }));
            EXPECT_EQ(out.sums.span()[group], 0);
            if (std::isnan(odd.scale))
              EXPECT_TRUE(std::isnan(out.scales.span()[group]));
            else
              EXPECT_EQ(out.scales.span()[group], odd.scale);
          }
          expect_same(quantized(kRowsReference.quantize16, x), quantized(rows.quantize16, x));
          expect_same(quantized(kRowsReference.quantize_mixed, x), quantized(rows.quantize_mixed, x));
          if (testing::Test::HasFailure()) return;
        }
}

// A value is held to half a step of amax / 32512, or a whole one where the low plane is clamped; and the
// rounding of the arithmetic itself: three of a number of at most 32512 steps.
TEST(RowKernels, TwoPlanesHoldSixteenBits) {
  Random random(5);
  const std::vector<float> x = floats(Values::kNormal, 3200, random);
  const Quantized out = quantized(kRowsReference.quantize16, x);
  std::size_t clamped = 0;
  for (std::size_t group = 0; group * kActivationGroup < x.size(); ++group) {
    const double scale = out.scales.span()[group];
    std::int32_t halves[2] = {};
    for (std::size_t i = group * kActivationGroup; i < (group + 1) * kActivationGroup; ++i) {
      const int code = out.codes.span()[i] * 256 + out.low.span()[i];
      const bool at_the_edge = std::abs(out.low.span()[i]) == 127;
      clamped += at_the_edge;
      halves[i % 32 / 16] += code;
      EXPECT_LE(std::abs(code * scale - x[i]),
                ((at_the_edge ? 1.5 : 0.5) + 1.01 * 3 * 32512 * kUnitRoundoff) * scale)
          << i;
    }
    EXPECT_EQ(halves[0], out.half_sums.span()[group * 2]);
    EXPECT_EQ(halves[1], out.half_sums.span()[group * 2 + 1]);
    EXPECT_EQ(halves[0] + halves[1], out.sums.span()[group]);
  }
  EXPECT_GT(clamped, 0u) << "the clamp is met";
}

// A row whose groups differ: those whose squared maximum is above one and a half times the mean are
// quantize16's, the others round(x * (127 / amax)) in the high plane alone.
TEST(RowKernels, GroupsThatStandOutHaveSixteenBits) {
  Random random(6);
  constexpr std::size_t kGroups = 40;
  std::vector<float> x = floats(Values::kNormal, kGroups * kActivationGroup, random);
  std::vector<double> amax(kGroups);
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t group = i / kActivationGroup;
    x[i] *= std::exp(0.1f * static_cast<float>(group * 7 % kGroups));
    amax[group] = std::max(amax[group], double{std::abs(x[i])});
  }
  for (double a : amax) squares += a * a;
  Quantized mixed = quantized(kRowsReference.quantize_mixed, x);
  Quantized wide = quantized(kRowsReference.quantize16, x);
  std::size_t standing_out = 0;
  for (std::size_t group = 0; group < kGroups; ++group) {
    const bool stands_out = amax[group] * amax[group] > 1.5 * squares / kGroups;
    standing_out += stands_out;
    EXPECT_EQ(mixed.wide.span()[group], stands_out);
    const std::size_t first = group * kActivationGroup;
    const auto low = mixed.low.span().subspan(first, kActivationGroup);
    if (!stands_out) {
      const auto largest = static_cast<float>(amax[group]);
      EXPECT_EQ(mixed.scales.span()[group], largest / 127 / 256);
      int sum = 0;
      for (std::size_t i = first; i < first + kActivationGroup; ++i) {
        EXPECT_EQ(mixed.codes.span()[i], std::nearbyint(x[i] * (127 / largest)));
        sum += mixed.codes.span()[i];
      }
      EXPECT_EQ(mixed.sums.span()[group], 256 * sum);
      EXPECT_TRUE(Guarded<std::int8_t>::is_canary(low));
      continue;
    }
    EXPECT_EQ(mixed.scales.span()[group], wide.scales.span()[group]);
    EXPECT_EQ(mixed.sums.span()[group], wide.sums.span()[group]);
    for (std::size_t i = 0; i < low.size(); ++i) {
      EXPECT_EQ(mixed.codes.span()[first + i], wide.codes.span()[first + i]);
      EXPECT_EQ(low[i], wide.low.span()[first + i]);
    }
  }
  EXPECT_GT(standing_out, 2u);
  EXPECT_LT(standing_out, kGroups / 2);
}

}  // namespace
}  // namespace folio::kernels
