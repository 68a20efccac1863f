#include "api/json.h"

namespace folio::api {
namespace {

constexpr std::size_t kShownBytes = 60;

// What a tree would cost, without building it: nesting and keys, by the characters outside of strings.
struct Extent {
  std::size_t depth = 0, keys = 0;
};

Extent extent_of(std::string_view text) {
  Extent extent;
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      extent.depth = std::max(extent.depth, ++depth);
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
    } else if (c == ':') {
      ++extent.keys;
    }
  }
  return extent;
}

}  // namespace

Checked<Json> parse_json(std::string_view text) {
  const Extent extent = extent_of(text);
  if (extent.depth > kMaxJsonDepth)
    return refuse("the JSON is nested {} deep; {} is the limit", extent.depth, kMaxJsonDepth);
  if (extent.keys > kMaxJsonKeys)
    return refuse("the JSON has {} keys; {} is the limit", extent.keys, kMaxJsonKeys);
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    return refuse("the body is no valid JSON: it goes wrong at byte {} of {}", error.byte, text.size());
  } catch (const std::exception&) {
    return refuse("the body is no valid JSON: it holds a number that is out of range");
  }
}

std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string quoted(std::string_view text) { return to_text(Json(text)); }

std::string shown(const Json& json) {
  std::string text = to_text(json);
  if (text.size() <= kShownBytes) return text;
  std::size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "...";
}

}  // namespace folio::api
