#include "random_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>

#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"
#include "kernels/quant/half.h"

namespace folio::model_maker {
namespace {

using kernels::TensorType;

// The random words of one row, four at a time.
class RowWords {
 public:
  RowWords(std::uint64_t seed, std::string_view name, std::uint64_t row) : row_(row) {
    const Hash128 hash =
        hash128({std::as_bytes(std::span(&seed, 1)), std::as_bytes(std::span(name.data(), name.size()))});
    key_ = {static_cast<std::uint32_t>(hash.low), static_cast<std::uint32_t>(hash.low >> 32)};
  }

  std::array<std::uint32_t, 4> next() {
    return philox4x32({static_cast<std::uint32_t>(at_++), 0, static_cast<std::uint32_t>(row_),
                       static_cast<std::uint32_t>(row_ >> 32)},
                      key_);
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t row_, at_ = 0;
};

void fill_bytes(RowWords& words, std::byte* out, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes; done += sizeof(std::array<std::uint32_t, 4>)) {
    const auto four = words.next();
    std::memcpy(out + done, four.data(), std::min(sizeof four, bytes - done));
  }
}

void store_half(std::byte* to, double value) {
  const std::uint16_t half = kernels::f32_to_f16(static_cast<float>(value));
  std::memcpy(to, &half, sizeof half);
}

// The standard deviation of a whole number drawn evenly from so many neighbours.
double even_deviation(double values) { return std::sqrt((values * values - 1) / 12); }

// The sum of four numbers of 16 bits, made by two words; its mean taken off.
float four_halves(std::uint32_t a, std::uint32_t b) {
  const auto sum = static_cast<int>((a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16));
  return static_cast<float>(sum - 2 * 0xffff);
}

template <typename Number, typename Convert>
void fill_floats(const RandomTensor& tensor, RowWords& words, std::byte* out, Convert convert) {
  const auto scale = static_cast<float>(tensor.deviation / (2 * even_deviation(0x10000)));
  for (std::size_t i = 0; i < tensor.columns; i += 2) {
    const auto four = words.next();
    const std::array<Number, 2> two = {convert(scale * four_halves(four[0], four[1])),
                                       convert(scale * four_halves(four[2], four[3]))};
    std::memcpy(out + i * sizeof(Number), two.data(),
                std::min<std::size_t>(2, tensor.columns - i) * sizeof(Number));
  }
}

// Q4_K: a half d, a half m, 12 bytes of eight 6-bit scales s and minima t, 128 bytes of codes; a weight is
// d s q - m t. With t = s and m = 7.5 d it is d s (q - 7.5), whose mean is 0. In the packing of the 12 bytes
// the first four hold scales where the next four hold minima, and the last four both, a nibble each.
void finish_q4_k(std::byte* block, double deviation) {
  const double mean_square_scale = (63.0 * 64 * 127 / 6) / 64;
  const double d = deviation / (even_deviation(16) * std::sqrt(mean_square_scale));
  store_half(block, d);
  store_half(block + 2, 7.5 * d);
  std::memcpy(block + 8, block + 4, 4);
  for (std::size_t i = 12; i < 16; ++i) block[i] = (block[i] & std::byte{15}) | block[i] << 4;
}

// Even codes that reach to two deviations spread by this many of them.
const double kEvenSpread = 2 / std::sqrt(3.0);

// Puts scales into a block of random bytes.
void finish_block(TensorType type, std::byte* block, double wanted) {
  const double deviation = kEvenSpread * wanted;
  switch (type) {
    case TensorType::kQ4_0:
      return store_half(block, deviation / even_deviation(16));
    case TensorType::kQ8_0:
      return store_half(block, deviation / even_deviation(256));
    case TensorType::kQ4_K:
      return finish_q4_k(block, deviation);
    // A byte of scale times a code of six bits; their half at the end of the block.
    case TensorType::kQ6_K:
      return store_half(block + 208, deviation / (even_deviation(256) * even_deviation(64)));
    default:
      FOLIO_CHECK(false, "no random blocks of this type");
  }
}

void fill_blocks(const RandomTensor& tensor, RowWords& words, std::byte* out) {
  const kernels::TensorTypeInfo& type = kernels::info(tensor.type);
  const std::size_t bytes = kernels::row_bytes(tensor.type, tensor.columns);
  fill_bytes(words, out, bytes);
  for (std::size_t at = 0; at < bytes; at += type.bytes)
    finish_block(tensor.type, out + at, tensor.deviation);
}

}  // namespace

bool can_fill(TensorType type) {
  constexpr std::array kTypes = {TensorType::kF32,  TensorType::kF16,  TensorType::kBF16, TensorType::kQ4_0,
                                 TensorType::kQ8_0, TensorType::kQ4_K, TensorType::kQ6_K};
  return std::ranges::find(kTypes, type) != kTypes.end();
}

void fill_row(const RandomTensor& tensor, std::uint64_t row, std::byte* out) {
  RowWords words(tensor.seed, tensor.name, row);
  switch (tensor.type) {
    case TensorType::kF32:
      return fill_floats<float>(tensor, words, out, [](float x) { return x; });
    case TensorType::kF16:
      return fill_floats<std::uint16_t>(tensor, words, out, kernels::f32_to_f16);
    case TensorType::kBF16:
      return fill_floats<std::uint16_t>(tensor, words, out, kernels::f32_to_bf16);
    default:
      return fill_blocks(tensor, words, out);
  }
}

}  // namespace folio::model_maker
