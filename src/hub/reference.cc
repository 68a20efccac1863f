#include "hub/reference.h"

#include <algorithm>

namespace folio::hub {
namespace {

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 96 && text[0] != '.' && text[0] != '-' &&
         std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
         });
}

Result<Reference> parse_url(std::string_view text) {
  const std::string_view path = text.substr(0, text.find_first_of("?#"));
  const std::size_t slash = path.rfind('/');
  const std::string_view file = path.substr(slash + 1);
  if (slash < text.find("://") + 3 || !is_safe_path(file))
    return fail(ErrorKind::kInvalid, "'{}' names no file; the URL of a model ends with one", text);
  return Reference{.repository = {}, .file = std::string(file), .url = std::string(text)};
}

// U+0080 to U+009F, which terminals obey like escape sequences, and what changes the direction of text.
bool steers(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  if (byte(0) == 0xC2) return byte(1) < 0xA0;
  if (byte(0) != 0xE2) return false;
  const unsigned last = byte(2);
  return (byte(1) == 0x80 && (last == 0x8E || last == 0x8F || (last >= 0xA8 && last <= 0xAE))) ||
         (byte(1) == 0x81 && last >= 0xA6 && last <= 0xA9);
}

}  // namespace

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.size() > 1024) return false;
  if (!std::ranges::all_of(
          path, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\\'; }))
    return false;
  for (std::size_t at = 0; at < path.size(); ++at)
    if (steers(path, at)) return false;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    if (end == start || path[start] == '.') return false;
    start = end + 1;
  }
  return true;
}

Result<Reference> parse_reference(std::string_view text) {
  if (text.starts_with("https://") || text.starts_with("http://")) return parse_url(text);
  std::string_view rest = text;
  if (rest.starts_with("hf://")) rest.remove_prefix(5);
  Reference reference;
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    reference.file = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_safe_path(reference.file))
      return fail(ErrorKind::kInvalid, "'{}' names no file behind the colon", text);
  }
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !is_name(rest.substr(0, slash)) || !is_name(rest.substr(slash + 1)))
    return fail(ErrorKind::kInvalid,
                "'{}' is no model's name: it takes ORGANISATION/NAME, hf://ORGANISATION/NAME:FILE or the URL "
                "of a file",
                text);
  reference.repository = rest;
  return reference;
}

}  // namespace folio::hub
