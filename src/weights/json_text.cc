#include "weights/json_text.h"

#include <cstdint>
#include <optional>
#include <string>

namespace folio::weights {
namespace {

// One pass without a tree: brackets are counted, and colons outside strings, of which there is one per key.
Status check_bounds(std::string_view text, std::string_view source, std::size_t max_keys) {
  std::size_t depth = 0;
  std::size_t keys = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxJsonDepth) {
        return fail(ErrorKind::kTooLarge, "{}: JSON nested deeper than {} (byte {})", source, kMaxJsonDepth,
                    i);
      }
    } else if (c == '}' || c == ']') {
      depth -= depth > 0 ? 1 : 0;
    } else if (c == ':' && ++keys > max_keys) {
      return fail(ErrorKind::kTooLarge, "{}: JSON with more than {} keys (byte {})", source, max_keys, i);
    }
  }
  return {};
}

// Python writes numbers that JSON has not, and its models' files hold them. nullopt: there are none.
std::optional<std::string> without_python_numbers(std::string_view text) {
  constexpr std::string_view kNames[] = {"-Infinity", "Infinity", "NaN"};
  std::string plain;
  std::size_t kept = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') in_string = !in_string;
    if (in_string && text[i] == '\\') ++i;
    if (in_string) continue;
    for (const std::string_view name : kNames)
      if (text.substr(i).starts_with(name)) {
        plain.append(text.substr(kept, i - kept)).append("null");
        i += name.size() - 1;
        kept = i + 1;
        break;
      }
  }
  if (kept == 0) return std::nullopt;
  return plain.append(text.substr(kept));
}

template <typename Json>
Result<Json> parse(std::string_view text, std::string_view source, std::size_t max_keys) {
  // The parser would take it for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return fail(ErrorKind::kInvalid, "{}: not valid JSON (byte {})", source, nul + 1);
  FOLIO_TRY_STATUS(check_bounds(text, source, max_keys));
  try {
    return Json::parse(text);
  } catch (const typename Json::parse_error& error) {
    if (const auto plain = without_python_numbers(text))
      if (Json json = Json::parse(*plain, nullptr, false); !json.is_discarded()) return json;
    return fail(ErrorKind::kInvalid, "{}: not valid JSON (byte {})", source, error.byte);
  } catch (const typename Json::exception&) {
    return fail(ErrorKind::kInvalid, "{}: not valid JSON: a number is out of range", source);
  }
}

}  // namespace

Status check_ordered_json_bounds(std::string_view text, std::string_view source) {
  return check_bounds(text, source, kMaxOrderedJsonKeys);
}

Result<nlohmann::ordered_json> parse_ordered_json(std::string_view text, std::string_view source) {
  return parse<nlohmann::ordered_json>(text, source, kMaxOrderedJsonKeys);
}

Result<nlohmann::json> parse_json(std::string_view text, std::string_view source) {
  return parse<nlohmann::json>(text, source, kMaxJsonKeys);
}

}  // namespace folio::weights
