#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace folio {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The published known answers of philox4x32-10.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xFFFF'FFFF;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Uniform, EveryPartOfTheNameCounts) {
  std::set<double> seen;
  for (std::uint64_t big : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32}) {
    seen.insert(uniform({.seed = big + 2}));
    seen.insert(uniform({.stream = big + 2}));
    seen.insert(uniform({.position = big + 2}));
  }
  EXPECT_EQ(seen.size(), 9);
  EXPECT_EQ(uniform({.seed = 1, .stream = 2, .position = 3}),
            uniform({.seed = 1, .stream = 2, .position = 3}));
}

TEST(Uniform, FillsTheUnitIntervalEvenly) {
  constexpr int kDraws = 100'000;
  constexpr int kBins = 100;
  std::array<int, kBins> counts{};
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double u = uniform({.seed = 42, .position = i});
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++counts[static_cast<std::size_t>(u * kBins)];
  }
  double chi_square = 0;
  for (int count : counts) chi_square += std::pow(count - kDraws / kBins, 2) / (kDraws / kBins);
  EXPECT_LT(chi_square, 99 + 4 * std::sqrt(2 * 99.0));  // four standard deviations over the mean
}

}  // namespace
}  // namespace folio
