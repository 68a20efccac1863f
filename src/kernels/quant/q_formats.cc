// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: 32 numbers with one f16 scale d, the _1 kinds with an f16 minimum m as well.
#include "kernels/quant/formats.h"
#include "kernels/quant/half.h"

namespace folio::kernels::quant {
namespace {

constexpr int kHalf =
    16;  // half of a block: the low nibbles of 16 bytes are numbers 0..15, the high ones 16..31

}  // namespace

// | d f16 | 16 bytes of nibbles |      value = d * (q - 8)
void decode_q4_0(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 18, out += 2 * kHalf) {
    const float d = load_f16(block);
    const Bytes q = block + 2;
    for (int j = 0; j < kHalf; ++j) out[j] = d * static_cast<float>((q[j] & 15) - 8);
    for (int j = 0; j < kHalf; ++j) out[kHalf + j] = d * static_cast<float>((q[j] >> 4) - 8);
  }
}

// | d f16 | m f16 | 16 bytes of nibbles |      value = d * q + m
void decode_q4_1(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 20, out += 2 * kHalf) {
    const float d = load_f16(block);
    const float m = load_f16(block + 2);
    const Bytes q = block + 4;
    for (int j = 0; j < kHalf; ++j) out[j] = d * static_cast<float>(q[j] & 15) + m;
    for (int j = 0; j < kHalf; ++j) out[kHalf + j] = d * static_cast<float>(q[j] >> 4) + m;
  }
}

// | d f16 | high u32 | 16 bytes of nibbles |      bit i of `high` is bit 4 of number i; value = d * (q - 16)
void decode_q5_0(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 22, out += 2 * kHalf) {
    const float d = load_f16(block);
    const std::uint32_t high = load_u32(block + 2);
    const Bytes q = block + 6;
    for (int j = 0; j < kHalf; ++j) {
      const int low_half = (q[j] & 15) | static_cast<int>((high >> j & 1) << 4);
      const int high_half = (q[j] >> 4) | static_cast<int>((high >> (kHalf + j) & 1) << 4);
      out[j] = d * static_cast<float>(low_half - 16);
      out[kHalf + j] = d * static_cast<float>(high_half - 16);
    }
  }
}

// | d f16 | m f16 | high u32 | 16 bytes of nibbles |      as Q5_0; value = d * q + m
void decode_q5_1(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 24, out += 2 * kHalf) {
    const float d = load_f16(block);
    const float m = load_f16(block + 2);
    const std::uint32_t high = load_u32(block + 4);
    const Bytes q = block + 8;
    for (int j = 0; j < kHalf; ++j) {
      const int low_half = (q[j] & 15) | static_cast<int>((high >> j & 1) << 4);
      const int high_half = (q[j] >> 4) | static_cast<int>((high >> (kHalf + j) & 1) << 4);
      out[j] = d * static_cast<float>(low_half) + m;
      out[kHalf + j] = d * static_cast<float>(high_half) + m;
    }
  }
}

// | d f16 | 32 x i8 |      value = d * q
void decode_q8_0(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 34, out += 2 * kHalf) {
    const float d = load_f16(block);
    for (int j = 0; j < 2 * kHalf; ++j)
      out[j] = d * static_cast<float>(static_cast<std::int8_t>(block[2 + j]));
  }
}

}  // namespace folio::kernels::quant
