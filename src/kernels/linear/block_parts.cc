#include "kernels/linear/block_parts.h"

#include <cstring>

#include "kernels/quant/half.h"

namespace folio::kernels {
namespace {

using Block = const std::uint8_t*;

void take_nibbles(Block q, std::uint8_t* codes) {
  for (int j = 0; j < 16; ++j) {
    codes[j] = q[j] & 15;
    codes[16 + j] = q[j] >> 4;
  }
}

// Bit i of `high` becomes bit 4 of code i.
void take_nibbles_and_bits(Block q, std::uint32_t high, std::uint8_t* codes) {
  take_nibbles(q, codes);
  for (int i = 0; i < 32; ++i) codes[i] = static_cast<std::uint8_t>(codes[i] | (high >> i & 1) << 4);
}

void split_q8_0(Block block, BlockParts& parts) {
  parts.halves[0] = load_u16(block);
  std::memcpy(parts.codes.data(), block + 2, 32);
}

void split_q4_0(Block block, BlockParts& parts) {  // and IQ4_NL
  parts.halves[0] = load_u16(block);
  take_nibbles(block + 2, parts.codes.data());
}

void split_q4_1(Block block, BlockParts& parts) {
  parts.halves = {load_u16(block), load_u16(block + 2)};
  take_nibbles(block + 4, parts.codes.data());
}

void split_q5_0(Block block, BlockParts& parts) {
  parts.halves[0] = load_u16(block);
  take_nibbles_and_bits(block + 6, load_u32(block + 2), parts.codes.data());
}

void split_q5_1(Block block, BlockParts& parts) {
  parts.halves = {load_u16(block), load_u16(block + 2)};
  take_nibbles_and_bits(block + 8, load_u32(block + 4), parts.codes.data());
}

// 2^(e - 128), half of the E8M0 scale for the doubled table, as bfloat16: exact for every e, subnormals too.
void split_mxfp4(Block block, BlockParts& parts) {
  const std::uint8_t e = block[0];
  parts.halves[0] = static_cast<std::uint16_t>(e < 2 ? 0x20 << e : (e - 1) << 7);
  take_nibbles(block + 1, parts.codes.data());
}

// The twelve bytes of Q4_K and Q5_K: six bits of each scale and minimum (k_formats.cc draws them).
void take_scales_and_minima(Block packed, BlockParts& parts) {
  for (std::size_t j = 0; j < 4; ++j) {
    parts.bytes[j] = {static_cast<std::uint8_t>(packed[j] & 63),
                      static_cast<std::uint8_t>(packed[j + 4] & 63)};
    parts.bytes[j + 4] = {static_cast<std::uint8_t>((packed[j + 8] & 15) | (packed[j] >> 6) << 4),
                          static_cast<std::uint8_t>((packed[j + 8] >> 4) | (packed[j + 4] >> 6) << 4)};
  }
}

// 32 bytes of nibbles hold two sub-blocks of 32, the first in the low ones.
void take_long_nibbles(Block q, BlockParts& parts) {
  for (std::size_t i = 0; i < 256; ++i) parts.codes[i] = q[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
}

void split_q4_k(Block block, BlockParts& parts) {
  parts.halves = {load_u16(block), load_u16(block + 2)};
  take_scales_and_minima(block + 4, parts);
  take_long_nibbles(block + 16, parts);
}

void split_q5_k(Block block, BlockParts& parts) {
  parts.halves = {load_u16(block), load_u16(block + 2)};
  take_scales_and_minima(block + 4, parts);
  take_long_nibbles(block + 48, parts);
  for (std::size_t i = 0; i < 256; ++i)
    parts.codes[i] = static_cast<std::uint8_t>(parts.codes[i] | (block[16 + i % 32] >> (i / 32) & 1) << 4);
}

// Per half of 128, number i in run r = i / 32: nibble r / 2 of byte 32 (r % 2) + i % 32 of 64, pair r of 32
// bytes.
void split_q6_k(Block block, BlockParts& parts) {
  parts.halves[0] = load_u16(block + 208);
  for (std::size_t sub = 0; sub < 16; ++sub) parts.bytes[sub][0] = block[192 + sub];
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t half = i / 128, run = i / 32 % 4;
    const int low = block[half * 64 + run % 2 * 32 + i % 32] >> (run / 2 * 4) & 15;
    const int high = block[128 + half * 32 + i % 32] >> (run * 2) & 3;
    parts.codes[i] = static_cast<std::uint8_t>(low | high << 4);
  }
}

// Pairs of Q2_K and Q3_K: per half of 128, number i in run r is pair r of byte i % 32.
void take_pairs(Block q, BlockParts& parts) {
  for (std::size_t i = 0; i < 256; ++i) parts.codes[i] = q[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
}

void split_q2_k(Block block, BlockParts& parts) {
  parts.halves = {load_u16(block + 80), load_u16(block + 82)};
  for (std::size_t sub = 0; sub < 16; ++sub) parts.bytes[sub][0] = block[sub];
  take_pairs(block + 16, parts);
}

void split_q3_k(Block block, BlockParts& parts) {
  parts.halves[0] = load_u16(block + 108);
  for (std::size_t sub = 0; sub < 16; ++sub) {
    const int low = block[96 + sub % 8] >> (sub / 8 * 4) & 15;
    const int high = block[104 + sub % 4] >> (sub / 4 * 2) & 3;
    parts.bytes[sub][0] = static_cast<std::uint8_t>((low | high << 4) - 32);
  }
  take_pairs(block + 32, parts);
  for (std::size_t i = 0; i < 256; ++i)
    parts.codes[i] = static_cast<std::uint8_t>(parts.codes[i] | (block[i % 32] >> (i / 32) & 1) << 2);
}

void split_iq4_xs(Block block, BlockParts& parts) {
  parts.halves[0] = load_u16(block);
  const int high = load_u16(block + 2);
  for (std::size_t sub = 0; sub < 8; ++sub) {
    const int low = block[4 + sub / 2] >> (sub % 2 * 4) & 15;
    parts.bytes[sub][0] = static_cast<std::uint8_t>((low | (high >> (2 * sub) & 3) << 4) - 32);
    take_nibbles(block + 8 + 16 * sub, parts.codes.data() + 32 * sub);
  }
}

}  // namespace

SplitBlock block_splitter(TensorType type) {
  switch (type) {
    case TensorType::kQ8_0:
      return split_q8_0;
    case TensorType::kQ4_0:
    case TensorType::kIQ4_NL:
      return split_q4_0;
    case TensorType::kQ4_1:
      return split_q4_1;
    case TensorType::kQ5_0:
      return split_q5_0;
    case TensorType::kQ5_1:
      return split_q5_1;
    case TensorType::kQ2_K:
      return split_q2_k;
    case TensorType::kQ3_K:
      return split_q3_k;
    case TensorType::kQ4_K:
      return split_q4_k;
    case TensorType::kQ5_K:
      return split_q5_k;
    case TensorType::kQ6_K:
      return split_q6_k;
    case TensorType::kIQ4_XS:
      return split_iq4_xs;
    case TensorType::kMXFP4:
      return split_mxfp4;
    default:
      return nullptr;
  }
}

}  // namespace folio::kernels
