#include "kernels/quant/dequantize.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace folio::kernels {
namespace {

constexpr std::size_t kBlocks = 8;

// Bytes without a pattern: the top bytes of a linear congruential generator.
std::vector<std::byte> noise(std::uint32_t seed, std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::byte& b : bytes) {
    seed = seed * 1664525u + 1013904223u;
    b = static_cast<std::byte>(seed >> 24);
  }
  return bytes;
}

std::uint64_t fnv1a(const std::vector<float>& values) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::byte b : std::as_bytes(std::span(values)))
    hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3u;
  return hash;
}

// The FNV-1a hash of the float32 numbers that the Python package gguf 0.19 (gguf.quants.dequantize) makes of
// eight blocks of noise(seed). Seeds are such that all numbers are finite and below 1e30. ./dev golden
// compares value by value.
struct Expected {
  std::string_view type;
  std::uint32_t seed;
  std::uint64_t hash;
};

constexpr Expected kExpected[] = {
    {"F32", 9, 0x3d91324d439e34bau},     {"F16", 1, 0x317739721b887587u},
    {"Q4_0", 3, 0xba78f1bd7740462bu},    {"Q4_1", 1, 0xf26e9e64e59790b9u},
    {"Q5_0", 1, 0x7ea8d7085934ab3bu},    {"Q5_1", 2, 0x307c91bf96884abeu},
    {"Q8_0", 1, 0x96a73ab78e9e0a05u},    {"Q2_K", 1, 0x69a1ce94a9eed8d3u},
    {"Q3_K", 1, 0x10bcc01b0c42f941u},    {"Q4_K", 1, 0x13ebc9b51b3e74f3u},
    {"Q5_K", 3, 0x78bc83f9bf43629au},    {"Q6_K", 2, 0xffaa9a4a8000b9a1u},
    {"IQ2_XXS", 1, 0x5aa40a53aa408059u}, {"IQ2_XS", 2, 0x379c11362563d73eu},
    {"IQ3_XXS", 2, 0xfe8557012eedad91u}, {"IQ1_S", 1, 0x63593519c7cb6b0fu},
    {"IQ4_NL", 3, 0x5f40f9cafbdab41fu},  {"IQ3_S", 2, 0x93d0871b5b7329dcu},
    {"IQ2_S", 1, 0x476ff23c9ec253c7u},   {"IQ4_XS", 1, 0x46d16f27da8fe628u},
    {"IQ1_M", 1, 0x267df190870911e9u},   {"BF16", 3, 0x318474cec1c486abu},
    {"TQ1_0", 1, 0x3ac5528f486e4517u},   {"TQ2_0", 1, 0x286b9b3df25d3f41u},
    {"MXFP4", 3, 0x12aef5bac715314bu},   {"NVFP4", 1, 0xd329681d6c175ed3u},
};

TEST(Dequantize, EveryTypeGivesTheBitsOfTheReference) {
  ASSERT_EQ(std::size(kExpected), tensor_types().size());
  for (const Expected& expected : kExpected) {
    const TensorTypeInfo* type = find_tensor_type(expected.type);
    ASSERT_NE(type, nullptr) << expected.type;
    const auto blocks = noise(expected.seed, kBlocks * type->bytes);
    std::vector<float> values(kBlocks * type->elements);
    dequantize(type->type, blocks.data(), values.data(), values.size());
    EXPECT_EQ(fnv1a(values), expected.hash) << expected.type << " begins " << values[0] << " " << values[1];
  }
}

TEST(Dequantize, BlocksMayLieAnywhereAndNothingIsWrittenBehindTheEnd) {
  for (const TensorTypeInfo& type : tensor_types()) {
    const auto blocks = noise(1, kBlocks * type.bytes);
    const std::size_t n = kBlocks * type.elements;
    std::vector<float> want(n);
    dequantize(type.type, blocks.data(), want.data(), n);
    std::vector<std::byte> moved(blocks.size() +
                                 3);  // exactly sized, so that a sanitizer sees a byte too far
    std::memcpy(moved.data() + 3, blocks.data(), blocks.size());
    std::vector<float> got(n + 1, 4711.0f);
    dequantize(type.type, moved.data() + 3, got.data(), n);
    EXPECT_EQ(std::memcmp(got.data(), want.data(), n * sizeof(float)), 0) << type.name;
    EXPECT_EQ(got[n], 4711.0f) << type.name;
  }
}

TEST(Dequantize, EveryBitPatternIsABlock) {
  for (const TensorTypeInfo& type : tensor_types()) {
    for (std::uint32_t seed = 100; seed < 140; ++seed) {
      const auto blocks =
          seed == 100 ? std::vector<std::byte>(type.bytes, std::byte{0xff}) : noise(seed, type.bytes);
      std::vector<float> values(type.elements);
      dequantize(type.type, blocks.data(), values.data(), values.size());
    }
  }
}

TEST(Dequantize, NoNumbersAreNoWork) { dequantize(TensorType::kQ4_0, nullptr, nullptr, 0); }

}  // namespace
}  // namespace folio::kernels
