// TQ1_0 and TQ2_0: 256 numbers of {-1, 0, 1} times one f16 scale d at the end of the block.
#include "kernels/quant/formats.h"
#include "kernels/quant/half.h"

namespace folio::kernels::quant {
namespace {

// A byte of TQ1_0 is a fraction of 256 whose base-3 digits are the numbers: times 3^n (modulo 256) moves
// digit n to the front, times 3 / 256 reads it.
float ternary_digit(std::uint8_t byte, std::uint8_t power_of_3) {
  const std::uint8_t moved = static_cast<std::uint8_t>(byte * power_of_3);
  return static_cast<float>((moved * 3 >> 8) - 1);
}

constexpr std::uint8_t kPowers[5] = {1, 3, 9, 27, 81};

// `bytes` bytes -> `digits` runs of `bytes` numbers, run n from digit n of each byte.
float* decode_digits(Bytes q, int bytes, int digits, float d, float* out) {
  for (int n = 0; n < digits; ++n, out += bytes) {
    for (int j = 0; j < bytes; ++j) out[j] = d * ternary_digit(q[j], kPowers[n]);
  }
  return out;
}

}  // namespace

// | 32 bytes of 5 digits | 16 bytes of 5 digits | 4 bytes of 4 digits | d f16 |      160 + 80 + 16 numbers
void decode_tq1_0(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 54) {
    const float d = load_f16(block + 52);
    out = decode_digits(block, 32, 5, d, out);
    out = decode_digits(block + 32, 16, 5, d, out);
    out = decode_digits(block + 48, 4, 4, d, out);
  }
}

// | 64 bytes of 2-bit q | d f16 |      32 bytes hold four runs of 32 numbers, run r in bits 2r and 2r+1;
// value = d * (q - 1)
void decode_tq2_0(Bytes block, float* out, std::size_t count) {
  for (std::size_t b = 0; b < count; ++b, block += 66) {
    const float d = load_f16(block + 64);
    for (int run = 0; run < 8; ++run, out += 32) {
      const Bytes q = block + run / 4 * 32;
      const int shift = run % 4 * 2;
      for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>((q[j] >> shift & 3) - 1);
    }
  }
}

}  // namespace folio::kernels::quant
