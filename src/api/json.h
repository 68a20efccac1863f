// JSON of requests, bounded before a tree is built, and of answers. Nothing here throws.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/api_error.h"

namespace folio::api {

using Json = nlohmann::ordered_json;

inline constexpr std::size_t kMaxJsonDepth = 32;
// Objects are searched and built in the order of their keys: the square of their number is the cost.
inline constexpr std::size_t kMaxJsonKeys = 10'000;
// What a tree of values takes in memory, beside the bytes of its texts: a number counts once, a text, a list
// and an object four times, 16 bytes each.
inline constexpr std::size_t kMaxJsonUnits = std::size_t{1} << 22;

// Errors: 400 with the byte where the text stops being JSON, or naming the limit.
[[nodiscard]] Checked<Json> parse_json(std::string_view text);

// Compact; bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string to_text(const Json& json);
[[nodiscard]] std::string quoted(std::string_view text);  // as a JSON string
// For a message: quoted and at most some 60 bytes. Cost: of what is shown.
[[nodiscard]] std::string shown(const Json& json);

}  // namespace folio::api
