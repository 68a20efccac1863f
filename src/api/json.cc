#include "api/json.h"

#include <algorithm>
#include <utility>

namespace folio::api {
namespace {

constexpr std::size_t kShownBytes = 60;

// What a tree would cost, without building it: nesting, keys and memory, by the characters outside of
// strings.
struct Extent {
  std::size_t depth = 0, keys = 0, units = 1;
};
constexpr std::size_t kUnitsOfContainer = 3;  // besides the one that its comma or its bracket stands for

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
      extent.units += kUnitsOfContainer;
    } else if (c == ',') {
      ++extent.units;
    } else if (c == '{' || c == '[') {
      extent.units += kUnitsOfContainer + 1;
      extent.depth = std::max(extent.depth, ++depth);
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
    } else if (c == ':') {
      ++extent.keys;
    }
  }
  return extent;
}

// The beginning of to_text(), a little more than kShownBytes of it where there is more.
void append_shown(const Json& json, std::string& text) {
  if (text.size() > kShownBytes) return;
  if (json.is_string()) {
    const std::string& whole = json.get_ref<const std::string&>();
    const std::string start = to_text(Json(whole.substr(0, kShownBytes + 4)));
    text += whole.size() <= kShownBytes + 4 ? start : start.substr(0, start.size() - 1);
  } else if (json.is_structured() && !json.empty()) {
    text += json.is_object() ? '{' : '[';
    bool first = true;
    for (const auto& [key, value] : json.items()) {
      if (!std::exchange(first, false)) text += ',';
      if (json.is_object()) {
        append_shown(Json(key), text);
        text += ':';
      }
      append_shown(value, text);
      if (text.size() > kShownBytes) return;
    }
    text += json.is_object() ? '}' : ']';
  } else {
    text += to_text(json);
  }
}

}  // namespace

Checked<Json> parse_json(std::string_view text) {
  // The parser would take it for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return refuse("the body is no valid JSON: it goes wrong at byte {} of {}", nul + 1, text.size());
  const Extent extent = extent_of(text);
  if (extent.depth > kMaxJsonDepth)
    return refuse("the JSON is nested {} deep; {} is the limit", extent.depth, kMaxJsonDepth);
  if (extent.keys > kMaxJsonKeys)
    return refuse("the JSON has {} keys; {} is the limit", extent.keys, kMaxJsonKeys);
  if (extent.units > kMaxJsonUnits)
    return refuse(
        "the JSON has more values than {}, where a text, a list or an object counts as four; send less at "
        "once",
        kMaxJsonUnits);
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
  std::string text;
  append_shown(json, text);
  if (text.size() <= kShownBytes) return text;
  std::size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + "...";
}

}  // namespace folio::api
