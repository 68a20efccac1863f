#include "api/embedding_text.h"

#include <fmt/format.h>
#include <openssl/evp.h>

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
  std::string text((bytes.size() + 2) / 3 * 4, '\0');  // and the zero behind it, which is written too
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
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
