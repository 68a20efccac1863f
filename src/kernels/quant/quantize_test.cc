#include "kernels/quant/quantize.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/quant/dequantize.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kBlock = 32;
constexpr TensorType kTargets[] = {TensorType::kQ8_0, TensorType::kQ4_0};

std::vector<std::byte> quantized(TensorType type, const std::vector<float>& values) {
  std::vector<std::byte> blocks(row_bytes(type, values.size()));
  quantize(type, values.data(), blocks.data(), values.size());
  return blocks;
}

std::vector<float> there_and_back(TensorType type, const std::vector<float>& values) {
  std::vector<float> back(values.size());
  dequantize(type, quantized(type, values).data(), back.data(), back.size());
  return back;
}

std::uint64_t fnv1a(const std::vector<std::byte>& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3u;
  return hash;
}

// 64 blocks of noise of several magnitudes; block 3 is zero, block 5 lies halfway between the codes of Q8_0
// with d = 1, block 6 between those of Q4_0.
std::vector<float> sample_row() {
  std::vector<float> row(64 * kBlock);
  std::uint32_t seed = 7;
  for (std::size_t i = 0; i < row.size(); ++i) {
    seed = seed * 1664525u + 1013904223u;
    const int block = static_cast<int>(i / kBlock);
    row[i] = block == 3
                 ? 0.0f
                 : std::ldexp(static_cast<float>(static_cast<int>(seed >> 16) - 32768), block % 11 - 17);
  }
  for (int k = -15; k < 16; ++k) {
    row[5 * kBlock + static_cast<std::size_t>(k + 16)] = static_cast<float>(k) + 0.5f;
    row[6 * kBlock + static_cast<std::size_t>(k + 16)] = static_cast<float>(k) / 4.0f;
  }
  row[5 * kBlock] = 127.0f;
  row[6 * kBlock] = -8.0f;
  return row;
}

// Hashes of what the Python package gguf 0.19 (gguf.quants.quantize) writes for the same row.
TEST(Quantize, GivesTheBlocksOfTheReference) {
  EXPECT_EQ(fnv1a(quantized(TensorType::kQ8_0, sample_row())), 0xe5f7f482199a2dfcu);
  EXPECT_EQ(fnv1a(quantized(TensorType::kQ4_0, sample_row())), 0x7fb0526b9b0aff57u);
}

TEST(Quantize, OfTwoEquallyLargeNumbersTheFirstGivesTheSignOfQ4_0) {
  std::vector<float> values(kBlock, 0.0f);
  values[3] = 8.0f;
  values[4] = -8.0f;
  const auto back = there_and_back(TensorType::kQ4_0, values);
  EXPECT_EQ(back[3], 8.0f);
  EXPECT_EQ(back[4], -7.0f) << "codes reach one step further on one side";
}

TEST(Quantize, OnlyWhatItCanMake) {
  for (const TensorTypeInfo& type : tensor_types()) {
    EXPECT_EQ(can_quantize_to(type.type), type.name == "Q8_0" || type.name == "Q4_0") << type.name;
  }
}

// A code is at most half a step off, the f16 scale 2^-11 of itself; Q4_0's last code, +8, does not exist.
RC_GTEST_PROP(Quantize, IsAsCloseAsItsSteps, ()) {
  const auto values = *rc::gen::container<std::vector<float>>(
      kBlock,
      rc::gen::map(rc::gen::inRange(-100000, 100001), [](int k) { return static_cast<float>(k) / 1000.0f; }));
  float amax = 0.0f;
  for (const float value : values) amax = std::max(amax, std::fabs(value));
  for (const TensorType type : kTargets) {
    const float step = type == TensorType::kQ8_0 ? amax / 127.0f : amax / 8.0f;
    const float allowed = (type == TensorType::kQ8_0 ? 0.5f : 1.0f) * step + amax * 0x1p-10f + 0x1p-20f;
    const auto back = there_and_back(type, values);
    for (std::size_t i = 0; i < kBlock; ++i) RC_ASSERT(std::fabs(back[i] - values[i]) <= allowed);
  }
}

TEST(Quantize, DamagedNumbersStayVisible) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad :
       {nan, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> values(2 * kBlock, 1.0f);
    values[7] = bad;
    for (const TensorType type : kTargets) {
      const auto back = there_and_back(type, values);
      EXPECT_TRUE(std::isnan(back[0])) << info(type).name;
      EXPECT_NEAR(back[kBlock], 1.0f, 0.2f) << "the next block is untouched";
    }
  }
}

TEST(Quantize, HugeAndTinyNumbersAreDefined) {
  for (const float value : {3e38f, 1e-45f, -1e-40f, 1e-8f}) {
    for (const TensorType type : kTargets) {
      const auto back = there_and_back(type, std::vector<float>(kBlock, value));
      if (std::fabs(value) < 1e-7f) {
        EXPECT_NEAR(back[0], 0.0f, 1e-7f);
      }
      if (std::fabs(value) > 1e30f) {
        EXPECT_TRUE(std::isinf(back[0]) || std::isnan(back[0]));
      }
    }
  }
}

}  // namespace
}  // namespace folio::kernels
