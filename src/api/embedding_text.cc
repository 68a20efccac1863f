#include "api/embedding_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

namespace folio::api {

static_assert(std::endian::native == std::endian::little);

std::vector<float> of_unit_length(std::span<const float> vector) {
  constexpr double kLeastLength = 1e-12;
  double squares = 0;
  for (const float value : vector) squares += static_cast<double>(value) * static_cast<double>(value);
  const double length = std::max(kLeastLength, std::sqrt(squares));
  std::vector<float> unit(vector.size());
  std::ranges::transform(vector, unit.begin(), [length](float value) {
    return static_cast<float>(static_cast<double>(value) / length);
  });
  return unit;
}

std::string base64(std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t given = std::min<std::size_t>(3, bytes.size() - i);
    unsigned bits = 0;  // 24 of them
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < given ? std::to_integer<unsigned>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) text.push_back(k <= given ? kDigits[bits >> (18 - 6 * k) & 63] : '=');
  }
  return text;
}

std::optional<std::string> embedding_entry(std::size_t index, std::span<const float> vector,
                                           VectorFormat format) {
  if (!std::ranges::all_of(vector, [](float value) { return std::isfinite(value); })) return std::nullopt;
  std::string text = fmt::format(R"({{"object":"embedding","index":{},"embedding":)", index);
  if (format == VectorFormat::kBase64) return text + "\"" + base64(std::as_bytes(vector)) + "\"}";
  for (std::size_t i = 0; i < vector.size(); ++i)
    fmt::format_to(std::back_inserter(text), "{}{}", i == 0 ? '[' : ',', vector[i]);
  return text + (vector.empty() ? "[]}" : "]}");
}

}  // namespace folio::api
