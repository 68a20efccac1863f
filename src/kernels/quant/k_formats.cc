// Q2_K .. Q6_K: 256 numbers in sub-blocks of 16 or 32. Each sub-block has a small integer scale (and
// minimum); the block has f16 factors d (and dmin) for them. The factor of a sub-block, d * scale, is exact
// in float32.
#include "kernels/quant/formats.h"
#include "kernels/quant/half.h"

namespace folio::kernels::quant {
namespace {

constexpr int kBlock = 256;

struct ScaleMin {
  float scale;
  float min;
};

// Q4_K and Q5_K pack eight 6-bit scales A..H and minima a..h into 12 bytes, most significant bit first:
//   bytes 0..3   EEAAAAAA FFBBBBBB GGCCCCCC HHDDDDDD
//   bytes 4..7   eeaaaaaa ffbbbbbb ggcccccc hhdddddd
//   bytes 8..11  eeeeEEEE ffffFFFF ggggGGGG hhhhHHHH      (low four bits of E..H and e..h)
ScaleMin scale_min(Bytes packed, int j) {
  if (j < 4) return {static_cast<float>(packed[j] & 63), static_cast<float>(packed[j + 4] & 63)};
  const int scale = (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
  const int min = (packed[j + 4] >> 4) | (packed[j] >> 6) << 4;
  return {static_cast<float>(scale), static_cast<float>(min)};
}

// Q3_K packs sixteen 6-bit scales into 12 bytes: the low nibbles of bytes 0..7 are the low bits of scales
// 0..7, the high nibbles those of 8..15; bits 2i and 2i+1 of byte 8 + k are the top bits of scale 4i + k.
// Stored with an offset of 32.
int q3_scale(Bytes packed, int i) {
  const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
  const int high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
  return (low | high << 4) - 32;
}

}  // namespace

// | 16 bytes: scale low nibble, min high nibble | 64 bytes of 2-bit q | d f16 | dmin f16 |
// 32 bytes of q hold 128 numbers: those of sub-blocks 2r and 2r+1 are bits 2r, 2r+1 of bytes 0..15
// and 16..31. value = (d * scale) * q - dmin * min
void decode_q2_k(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 84) {
    const float d = load_f16(block + 80);
    const float dmin = load_f16(block + 82);
    for (int sub = 0; sub < kBlock / 16; ++sub, out += 16) {
      const float scale = d * static_cast<float>(block[sub] & 15);
      const float min = dmin * static_cast<float>(block[sub] >> 4);
      const Bytes q = block + 16 + sub / 8 * 32 + sub % 2 * 16;
      const int shift = sub % 8 / 2 * 2;
      for (int j = 0; j < 16; ++j) out[j] = scale * static_cast<float>(q[j] >> shift & 3) - min;
    }
  }
}

// | 32 bytes: high bits | 64 bytes of 2-bit q | 12 bytes of scales | d f16 |
// q as in Q2_K; bit r of high byte l (r = 0..7 counts runs of 32 numbers) is *clear* where 4 is to be
// subtracted. value = (d * (scale - 32)) * q
void decode_q3_k(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 110) {
    const float d = load_f16(block + 108);
    for (int sub = 0; sub < kBlock / 16; ++sub, out += 16) {
      const float scale = d * static_cast<float>(q3_scale(block + 96, sub));
      const Bytes high = block + sub % 2 * 16;
      const Bytes q = block + 32 + sub / 8 * 32 + sub % 2 * 16;
      const int shift = sub % 8 / 2 * 2;
      const int run = sub / 2;
      for (int j = 0; j < 16; ++j) {
        const int value = (q[j] >> shift & 3) + (high[j] >> run & 1) * 4 - 4;
        out[j] = scale * static_cast<float>(value);
      }
    }
  }
}

// | d f16 | dmin f16 | 12 bytes of scales and minima | 128 bytes of nibbles |
// 32 bytes of nibbles hold sub-blocks 2t (low nibbles) and 2t+1 (high ones) of 32 numbers.
// value = (d * scale) * q - dmin * min
void decode_q4_k(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 144) {
    const float d = load_f16(block);
    const float dmin = load_f16(block + 2);
    for (int sub = 0; sub < kBlock / 32; ++sub, out += 32) {
      const ScaleMin factors = scale_min(block + 4, sub);
      const float scale = d * factors.scale;
      const float min = dmin * factors.min;
      const Bytes q = block + 16 + sub / 2 * 32;
      const int shift = sub % 2 * 4;
      for (int j = 0; j < 32; ++j) out[j] = scale * static_cast<float>(q[j] >> shift & 15) - min;
    }
  }
}

// | d f16 | dmin f16 | 12 bytes of scales and minima | 32 bytes: high bits | 128 bytes of nibbles |
// As Q4_K; bit s of high byte l is bit 4 of number l of sub-block s.
void decode_q5_k(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 176) {
    const float d = load_f16(block);
    const float dmin = load_f16(block + 2);
    const Bytes high = block + 16;
    for (int sub = 0; sub < kBlock / 32; ++sub, out += 32) {
      const ScaleMin factors = scale_min(block + 4, sub);
      const float scale = d * factors.scale;
      const float min = dmin * factors.min;
      const Bytes q = block + 48 + sub / 2 * 32;
      const int shift = sub % 2 * 4;
      for (int j = 0; j < 32; ++j) {
        const int value = (q[j] >> shift & 15) | (high[j] >> sub & 1) << 4;
        out[j] = scale * static_cast<float>(value) - min;
      }
    }
  }
}

// | 128 bytes: low nibbles | 64 bytes: high pairs | 16 x i8 scales | d f16 |
// Per half of 128 numbers, in runs r = 0..3 of 32: the low nibble is in byte 32 * (r % 2) + l of 64 (low
// nibbles for r < 2, high ones after), the upper two bits are pair r of byte l of 32.      value = (d *
// scale) * (q - 32)
void decode_q6_k(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 210) {
    const float d = load_f16(block + 208);
    for (int sub = 0; sub < kBlock / 16; ++sub, out += 16) {
      const float scale = d * static_cast<float>(static_cast<std::int8_t>(block[192 + sub]));
      const int half = sub / 8;
      const int run = sub % 8 / 2;
      const Bytes low = block + half * 64 + run % 2 * 32 + sub % 2 * 16;
      const Bytes high = block + 128 + half * 32 + sub % 2 * 16;
      const int low_shift = run / 2 * 4;
      const int high_shift = run * 2;
      for (int j = 0; j < 16; ++j) {
        const int value = (low[j] >> low_shift & 15) | (high[j] >> high_shift & 3) << 4;
        out[j] = scale * static_cast<float>(value - 32);
      }
    }
  }
}

}  // namespace folio::kernels::quant
