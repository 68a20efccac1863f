#include "kernels/quant/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "kernels/quant/half.h"

namespace folio::kernels {
namespace {

constexpr int kBlock = 32;

// 1 / d, but 0 for 0. A d so small that its inverse overflows is zero in f16 anyway.
float inverse(float d) {
  const float inverted = d != 0.0f ? 1.0f / d : 0.0f;
  return std::isfinite(inverted) ? inverted : 0.0f;
}

// Whether the values are numbers to scale by; if not, d is made NaN and the codes are 0.
bool all_finite(const float* x) {
  bool finite = true;
  for (int i = 0; i < kBlock; ++i) finite &= std::fabs(x[i]) <= 3.4028234663852886e38f;
  return finite;
}

void store_scale(float d, std::byte* to) {
  const std::uint16_t half = f32_to_f16(d);
  std::memcpy(to, &half, sizeof half);
}

void spoil(std::byte* block, std::size_t bytes) {
  std::memset(block, 0, bytes);
  const std::uint16_t nan = 0x7e00;
  std::memcpy(block, &nan, sizeof nan);
}

// To the nearest integer, halves away from zero. Requires: |x| < 2^31
int round_half_away(float x) {
  const float whole = std::trunc(x);
  const float rest = x - whole;
  return static_cast<int>(whole) + (rest >= 0.5f) - (rest <= -0.5f);
}

void quantize_q8_0(const float* x, std::byte* block) {
  if (!all_finite(x)) return spoil(block, 34);
  float amax = 0.0f;
  for (int i = 0; i < kBlock; ++i) amax = std::max(amax, std::fabs(x[i]));
  const float d = amax / 127.0f;
  const float id = inverse(d);
  store_scale(d, block);
  for (int i = 0; i < kBlock; ++i) {
    const int q = std::clamp(round_half_away(x[i] * id), -127, 127);
    block[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(q));
  }
}

void quantize_q4_0(const float* x, std::byte* block) {
  if (!all_finite(x)) return spoil(block, 18);
  float largest = 0.0f;  // with its sign; the first one if several share the magnitude
  for (int i = 0; i < kBlock; ++i) {
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  }
  const float d = largest / -8.0f;
  const float id = inverse(d);
  store_scale(d, block);
  const auto code = [id](float value) { return std::min(15, static_cast<int>(value * id + 8.5f)); };
  for (int j = 0; j < kBlock / 2; ++j) {
    block[2 + j] = static_cast<std::byte>(code(x[j]) | code(x[kBlock / 2 + j]) << 4);
  }
}

}  // namespace

bool can_quantize_to(TensorType type) { return type == TensorType::kQ8_0 || type == TensorType::kQ4_0; }

void quantize(TensorType type, const float* values, std::byte* blocks, std::size_t n) {
  FOLIO_CHECK(can_quantize_to(type), "quantize makes Q8_0 and Q4_0 only");
  FOLIO_CHECK(n % kBlock == 0, "quantize works on whole blocks");
  const auto quantize_block = type == TensorType::kQ8_0 ? quantize_q8_0 : quantize_q4_0;
  const std::size_t bytes = info(type).bytes;
  for (std::size_t i = 0; i < n; i += kBlock, blocks += bytes) quantize_block(values + i, blocks);
}

}  // namespace folio::kernels
