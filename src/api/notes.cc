#include "api/notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace folio::api {
namespace {

constexpr std::string_view kBetween = ", ";

// What a header, a log and a terminal can show: other bytes, and what stands between names, become '?'.
std::string plain(std::string_view field) {
  std::string name;
  bool index = false;
  for (const char c : field) {
    if (c == '[') index = true;
    if (c == ']') index = false;
    if (index && c >= '0' && c <= '9') continue;
    name += c > ' ' && c < 0x7f && c != ',' ? c : '?';
  }
  return name;
}

}  // namespace

void Notes::ignore(std::string_view field) {
  const std::string name = plain(field.substr(0, kMostBytes));
  if (ignored.size() == kMostNames || std::ranges::find(ignored, name) != ignored.end()) return;
  const std::size_t bytes = std::accumulate(
      ignored.begin(), ignored.end(), name.size(),
      [](std::size_t sum, const std::string& one) { return sum + one.size() + kBetween.size(); });
  if (bytes <= kMostBytes) ignored.push_back(name);
}

std::string Notes::ignored_header() const { return fmt::format("{}", fmt::join(ignored, kBetween)); }

std::string Notes::clamped_header() const {
  return max_tokens ? fmt::format("max_tokens={}", *max_tokens) : std::string();
}

Json Notes::to_json() const {
  Json json = Json::object();
  if (!ignored.empty()) json["ignored"] = ignored;
  if (max_tokens) json["max_tokens"] = *max_tokens;
  return json;
}

}  // namespace folio::api
