// IQ4_NL, IQ4_XS, MXFP4, NVFP4: a nibble is an index into a table of 16 values. In a run of bytes the low
// nibbles come first, then the high ones.
#include <bit>

#include "kernels/quant/formats.h"
#include "kernels/quant/half.h"

namespace folio::kernels::quant {
namespace {

// Steps that suit a bell-shaped distribution (source: the GGUF format, IQ4_NL).
constexpr float kBell[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// E2M1 (OCP Microscaling v1.0): sign, two exponent bits, one mantissa bit; here times two, so that all are
// integers. Code 8, its minus zero, counts as plus zero.
constexpr float kE2M1Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// 2^(e - 128): half of the E8M0 scale, for the doubled table. Finite for every e; e < 2 gives float32
// subnormals.
float half_of_e8m0(std::uint8_t e) {
  const std::uint32_t bits = e < 2 ? 0x00200000u << e : static_cast<std::uint32_t>(e - 1) << 23;
  return std::bit_cast<float>(bits);
}

// Half of an unsigned E4M3 number (bias 7, the top bit ignored), for the doubled table. 0x7f, its NaN, counts
// as zero.
float half_of_ue4m3(std::uint8_t x) {
  if (x == 0x7f) return 0.0f;
  const int exponent = x >> 3 & 15;
  const float mantissa = static_cast<float>(x & 7);
  if (exponent == 0) return mantissa * 0x1p-10f;
  const float power = std::bit_cast<float>(static_cast<std::uint32_t>(exponent - 7 - 1 + 127) << 23);
  return (1.0f + mantissa / 8.0f) * power;
}

// One run of `half` bytes -> 2 * half numbers.
void decode_run(Bytes q, int half, const float (&table)[16], float scale, float* out) {
  for (int j = 0; j < half; ++j) {
    out[j] = scale * table[q[j] & 15];
    out[half + j] = scale * table[q[j] >> 4];
  }
}

}  // namespace

// | d f16 | 16 bytes of nibbles |
void decode_iq4_nl(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 18, out += 32) {
    decode_run(block + 2, 16, kBell, load_f16(block), out);
  }
}

// | d f16 | u16: upper scale bits | 4 bytes: low scale nibbles | 128 bytes of nibbles |
// Eight sub-blocks of 32; the scale of number s is nibble s of the 4 bytes and pair s of the u16, minus 32.
void decode_iq4_xs(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 136) {
    const float d = load_f16(block);
    const int high = load_u16(block + 2);
    for (int sub = 0; sub < 8; ++sub, out += 32) {
      const int low = block[4 + sub / 2] >> (sub % 2 * 4) & 15;
      const int scale = (low | (high >> (2 * sub) & 3) << 4) - 32;
      decode_run(block + 8 + 16 * sub, 16, kBell, d * static_cast<float>(scale), out);
    }
  }
}

// | e u8 | 16 bytes of nibbles |      value = E2M1 * 2^(e - 127)
void decode_mxfp4(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 17, out += 32) {
    decode_run(block + 1, 16, kE2M1Doubled, half_of_e8m0(block[0]), out);
  }
}

// | 4 x UE4M3 | 32 bytes of nibbles |      four sub-blocks of 16 numbers in 8 bytes
void decode_nvfp4(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 36) {
    for (int sub = 0; sub < 4; ++sub, out += 16) {
      decode_run(block + 4 + 8 * sub, 8, kE2M1Doubled, half_of_ue4m3(block[sub]), out);
    }
  }
}

}  // namespace folio::kernels::quant
