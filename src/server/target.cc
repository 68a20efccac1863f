#include "server/target.h"

#include <algorithm>
#include <charconv>

#include "server/http.h"

namespace folio::server {
namespace {

std::optional<std::string> decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (text[i] == '%') {
      const std::string_view digits = text.substr(i + 1, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
      if (digits.size() < 2 || error != std::errc() || end != digits.data() + 2) return std::nullopt;
      i += 2;
    }
    if (byte < 0x20 || byte == 0x7f) return std::nullopt;
    plain += static_cast<char>(byte);
  }
  return plain;
}

}  // namespace

std::optional<Target> parse_target(std::string_view target) {
  Target parsed;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::size_t end = std::min(target.find_first_of("/?#"), target.size());
    parsed.authority = std::string(target.substr(0, end));
    if (parsed.authority.empty()) return std::nullopt;
    target.remove_prefix(end);
  }
  target = target.substr(0, target.find_first_of("?#"));
  if (target.empty() && !parsed.authority.empty()) target = "/";
  if (target != "*" && !target.starts_with('/')) return std::nullopt;
  auto path = decoded(target);
  if (!path) return std::nullopt;
  if (path->size() > 1 && path->ends_with('/')) path->pop_back();
  parsed.path = std::move(*path);
  return parsed;
}

}  // namespace folio::server
