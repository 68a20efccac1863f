// Vectors as /v1/embeddings gives them.
//
// Thread rule: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace folio::api {

enum class Normalize { kYes, kNo };           // kYes: vectors have length 1
enum class VectorFormat { kFloat, kBase64 };  // of vectors in JSON

// Divided by its length (or by 1e-12, if it has less), so that a dot product of two is their cosine.
[[nodiscard]] std::vector<float> of_unit_length(std::span<const float> vector);

// RFC 4648, with padding.
[[nodiscard]] std::string base64(std::span<const std::byte> bytes);

// One entry of "data". kBase64: the floats' little-endian bytes. nullopt: a value is not finite.
[[nodiscard]] std::optional<std::string> embedding_entry(std::size_t index, std::span<const float> vector,
                                                         VectorFormat format);

}  // namespace folio::api
