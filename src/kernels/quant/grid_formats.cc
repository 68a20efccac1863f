// IQ1, IQ2, IQ3: 256 numbers; an index into a codebook (grid_tables.h) gives four or eight magnitudes at
// once, sign bits and small scales come beside it. All products here are exact in float32.
#include <bit>

#include "kernels/quant/formats.h"
#include "kernels/quant/grid_tables.h"
#include "kernels/quant/half.h"

namespace folio::kernels::quant {
namespace {

constexpr float kIQ1Values[4] = {-1, 0, 1, 0};  // a 2-bit digit is never 3
constexpr float kIQ2Values[4] = {8, 25, 43, 0};
constexpr float kIQ3XXSValues[8] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr float kIQ1Delta = 0.125f;

// Signs of eight numbers are stored in seven bits: the eighth makes their number even.
unsigned even_signs(unsigned seven_bits) {
  return seven_bits | static_cast<unsigned>(std::popcount(seven_bits) & 1) << 7;
}

// The same with the sign flipped where bit j of `signs` is set.
float with_sign(float value, unsigned signs, int j) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) ^ (signs >> j & 1u) << 31);
}

// Eight numbers of IQ2: bit j of `signs` set makes number j negative.
void iq2_eight(float scale, unsigned grid, unsigned signs, float* out) {
  for (int j = 0; j < 8; ++j) out[j] = with_sign(scale * kIQ2Values[grid >> (2 * j) & 3], signs, j);
}

// Eight numbers of IQ1: each is moved by delta.
void iq1_eight(float scale, unsigned grid, float delta, float* out) {
  for (int j = 0; j < 8; ++j) out[j] = scale * (kIQ1Values[grid >> (2 * j) & 3] + delta);
}

int nibble(Bytes bytes, int i) { return bytes[i / 2] >> (i % 2 * 4) & 15; }

float iq2_scale(float d, int s) { return d * (0.5f + static_cast<float>(s)) * 0.25f; }

}  // namespace

// | d f16 | 8 x { 4 grid indices u8 | u32 } |      32 numbers each; the u32 holds 4 x 7 sign bits and a 4-bit
// scale on top
void decode_iq2_xxs(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 66) {
    const float d = load_f16(block);
    for (int sub = 0; sub < 8; ++sub) {
      const Bytes index = block + 2 + 8 * sub;
      const std::uint32_t rest = load_u32(index + 4);
      const float scale = iq2_scale(d, static_cast<int>(rest >> 28));
      for (int i = 0; i < 4; ++i, out += 8) {
        iq2_eight(scale, kGridIQ2_XXS[index[i]], even_signs(rest >> (7 * i) & 127), out);
      }
    }
  }
}

// | d f16 | 32 x u16: 9-bit grid index, 7 sign bits | 8 bytes: a 4-bit scale per 16 numbers |
void decode_iq2_xs(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 74) {
    const float d = load_f16(block);
    for (int i = 0; i < 32; ++i, out += 8) {
      const unsigned code = load_u16(block + 2 + 2 * i);
      iq2_eight(iq2_scale(d, nibble(block + 66, i / 2)), kGridIQ2_XS[code & 511], even_signs(code >> 9), out);
    }
  }
}

// | d f16 | 32 bytes: low index bits | 32 bytes: signs | 8 bytes: upper index pairs | 8 bytes: a scale per 16
// numbers |
void decode_iq2_s(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 82) {
    const float d = load_f16(block);
    const Bytes low = block + 2;
    const Bytes signs = block + 34;
    const Bytes high = block + 66;
    for (int i = 0; i < 32; ++i, out += 8) {
      const unsigned index = low[i] | (high[i / 4] >> (i % 4 * 2) & 3u) << 8;
      iq2_eight(iq2_scale(d, nibble(block + 74, i / 2)), kGridIQ2_S[index], signs[i], out);
    }
  }
}

// | d f16 | 64 grid indices u8, 4 numbers each | 8 x u32: 4 x 7 sign bits (8 numbers each), a 4-bit scale on
// top |
void decode_iq3_xxs(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 98) {
    const float d = load_f16(block);
    for (int sub = 0; sub < 8; ++sub) {
      const Bytes index = block + 2 + 8 * sub;
      const std::uint32_t rest = load_u32(block + 66 + 4 * sub);
      const float scale = d * (0.5f + static_cast<float>(rest >> 28)) * 0.5f;
      for (int i = 0; i < 4; ++i, out += 8) {
        const unsigned signs = even_signs(rest >> (7 * i) & 127);
        for (int j = 0; j < 8; ++j) {
          const unsigned grid = kGridIQ3_XXS[index[2 * i + j / 4]];
          out[j] = with_sign(scale * kIQ3XXSValues[grid >> (4 * (j % 4)) & 7], signs, j);
        }
      }
    }
  }
}

// | d f16 | 64 bytes: low index bits | 8 bytes: ninth index bits | 32 bytes: signs | 4 bytes: a scale per 32
// numbers |
void decode_iq3_s(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 110) {
    const float d = load_f16(block);
    const Bytes low = block + 2;
    const Bytes high = block + 66;
    const Bytes signs = block + 74;
    for (int i = 0; i < 64; ++i, out += 4) {
      const float scale = d * static_cast<float>(1 + 2 * nibble(block + 106, i / 8));
      const unsigned grid = kGridIQ3_S[low[i] | (high[i / 8] >> (i % 8) & 1u) << 8];
      for (int j = 0; j < 4; ++j) {
        const float magnitude = static_cast<float>(2 * (grid >> (4 * j) & 7) + 1);
        out[j] = with_sign(scale * magnitude, signs[i / 2], i % 2 * 4 + j);
      }
    }
  }
}

// | d f16 | 32 bytes: low index bits | 8 x u16: 4 x 3 upper index bits, a 3-bit scale, the sign of delta |
// 32 numbers per u16; value = d * (2 * scale + 1) * (grid + delta)
void decode_iq1_s(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 50) {
    const float d = load_f16(block);
    for (int i = 0; i < 32; ++i, out += 8) {
      const unsigned rest = load_u16(block + 34 + i / 4 * 2);
      const float scale = d * static_cast<float>(2 * (rest >> 12 & 7) + 1);
      const float delta = (rest & 0x8000u) != 0 ? -kIQ1Delta : kIQ1Delta;
      iq1_eight(scale, kGridIQ1[block[2 + i] | (rest >> (i % 4 * 3) & 7u) << 8], delta, out);
    }
  }
}

// | 32 bytes: low index bits | 16 bytes: per nibble 3 upper index bits and the sign of delta | 4 x u16 |
// Each u16 holds 4 x 3 scale bits (16 numbers each) and on top a nibble of d, lowest first.
void decode_iq1_m(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 56) {
    unsigned d_bits = 0;
    for (int k = 0; k < 4; ++k)
      d_bits |= static_cast<unsigned>(load_u16(block + 48 + 2 * k) >> 12) << (4 * k);
    const float d = f16_to_f32(static_cast<std::uint16_t>(d_bits));
    for (int i = 0; i < 32; ++i, out += 8) {
      const int group = i / 2;
      const unsigned scale_bits = load_u16(block + 48 + group / 4 * 2) >> (group % 4 * 3) & 7u;
      const unsigned rest = static_cast<unsigned>(nibble(block + 32, i));
      const float delta = (rest & 8) != 0 ? -kIQ1Delta : kIQ1Delta;
      iq1_eight(d * static_cast<float>(2 * scale_bits + 1), kGridIQ1[block[i] | (rest & 7u) << 8], delta,
                out);
    }
  }
}

}  // namespace folio::kernels::quant
