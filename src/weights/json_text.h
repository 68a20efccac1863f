// Bounded JSON: nesting, keys and size are checked before a tree is built. Python's Infinity and NaN, which
// are no JSON and stand in models' files, are null.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/result.h"

namespace folio::weights {

inline constexpr std::size_t kMaxJsonDepth = 64;
// Building an ordered_json object costs the square of its keys.
inline constexpr std::size_t kMaxOrderedJsonKeys = 20'000;
inline constexpr std::size_t kMaxJsonKeys = 1'100'000;  // a line per tensor of the largest model

// Errors of all three name `source` and the byte offset.
//
// Whether the depth and the number of keys are within the bounds of parse_ordered_json(); all else is left to
// whoever parses the text.
Status check_ordered_json_bounds(std::string_view text, std::string_view source);

Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view source);
Result<nlohmann::json> parse_json(std::string_view text, std::string_view source);

}  // namespace folio::weights
