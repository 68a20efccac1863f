#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace folio::model {
namespace {

RopeConfig config(RopeScaling scaling) {
  return {.scaling = scaling, .base = 10000, .dims = 16, .factor = 4, .original_context = 64};
}

// The angle of each pair at position 1, from its cosine and sine.
std::vector<double> frequencies(const Rope& rope) {
  std::vector<float> cosine(rope.pairs()), sine(rope.pairs());
  rope.angles(1, cosine.data(), sine.data());
  std::vector<double> angles;
  for (std::size_t i = 0; i < rope.pairs(); ++i) angles.push_back(std::atan2(sine[i], cosine[i]));
  return angles;
}

TEST(Rope, PlainFrequenciesArePowersOfTheBase) {
  const auto f = frequencies(Rope(config(RopeScaling::kNone), 100, {}));
  for (std::size_t i = 0; i < f.size(); ++i)
    EXPECT_NEAR(f[i], std::pow(10000.0, -static_cast<double>(i) / 8), 1e-6);
}

TEST(Rope, LinearScalingDividesEveryFrequency) {
  const auto plain = frequencies(Rope(config(RopeScaling::kNone), 100, {}));
  const auto scaled = frequencies(Rope(config(RopeScaling::kLinear), 100, {}));
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(scaled[i], plain[i] / 4, 1e-6);
}

TEST(Rope, DivisorsOfTheFileDivide) {
  const std::vector<float> divisors(8, 2.0F);
  const auto plain = frequencies(Rope(config(RopeScaling::kNone), 100, {}));
  const auto divided = frequencies(Rope(config(RopeScaling::kNone), 100, divisors));
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(divided[i], plain[i] / 2, 1e-6);
}

TEST(Rope, DynamicScalingBeginsBeyondTheOriginalLengthOnly) {
  const auto plain = frequencies(Rope(config(RopeScaling::kNone), 64, {}));
  EXPECT_EQ(frequencies(Rope(config(RopeScaling::kDynamic), 64, {})), plain);
  const auto longer = frequencies(Rope(config(RopeScaling::kDynamic), 128, {}));
  const double base = 10000 * std::pow(4.0 * 128 / 64 - 3, 16.0 / 14);
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_NEAR(longer[i], std::pow(base, -static_cast<double>(i) / 8), 1e-6);
}

TEST(Rope, Llama3KeepsShortWavesAndStretchesLongOnes) {
  const auto plain = frequencies(Rope(config(RopeScaling::kNone), 100, {}));
  const auto scaled = frequencies(Rope(config(RopeScaling::kLlama3), 100, {}));
  EXPECT_NEAR(scaled.front(), plain.front(), 1e-7);
  EXPECT_NEAR(scaled.back(), plain.back() / 4, 1e-7);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_LE(scaled[i], plain[i] * (1 + 1e-6));
    EXPECT_GE(scaled[i], plain[i] / 4 * (1 - 1e-6));
  }
}

// A name that no value changes would name nothing.
TEST(Rope, TheProbeNamesTheBitsOfAngles) {
  const Hash128 here = Rope::probe();
  EXPECT_EQ(Rope::probe(), here);
  EXPECT_NE(here, Hash128{});
  const Rope rope({.dims = 128}, 1, {});
  std::vector<float> values(4 * 128);
  std::size_t at = 0;
  for (const std::uint32_t position : {1u, 77u, 4095u, 131071u}) {
    rope.angles(position, &values[at], &values[at + 64]);
    at += 128;
  }
  EXPECT_EQ(hash128({std::as_bytes(std::span(values))}), here);
  values[300] = std::nextafter(values[300], 2.0F);
  EXPECT_NE(hash128({std::as_bytes(std::span(values))}), here);
}

TEST(Rope, YarnMultipliesByItsAttentionFactor) {
  const Rope rope(config(RopeScaling::kYarn), 100, {});
  std::vector<float> cosine(8), sine(8);
  rope.angles(0, cosine.data(), sine.data());
  for (float c : cosine) EXPECT_FLOAT_EQ(c, static_cast<float>(0.1 * std::log(4.0) + 1));
  for (float s : sine) EXPECT_EQ(s, 0.0F);
}

}  // namespace
}  // namespace folio::model
