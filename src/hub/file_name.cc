#include "hub/file_name.h"

#include <charconv>

namespace folio::hub {
namespace {

// Takes "-00002" or "-of-00003" off the end.
std::optional<std::size_t> take_number(std::string_view& text, std::string_view before) {
  constexpr std::size_t kDigits = 5;
  if (text.size() < before.size() + kDigits) return std::nullopt;
  const std::string_view digits = text.substr(text.size() - kDigits);
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + kDigits, number);
  if (error != std::errc() || end != digits.data() + kDigits) return std::nullopt;
  text.remove_suffix(kDigits);
  if (!text.ends_with(before)) return std::nullopt;
  text.remove_suffix(before.size());
  return number;
}

}  // namespace

std::optional<PartName> part_of_name(std::string_view path) {
  for (const std::string_view ending : {".gguf", ".safetensors"}) {
    std::string_view rest = path;
    if (!rest.ends_with(ending)) continue;
    rest.remove_suffix(ending.size());
    const auto parts = take_number(rest, "-of-");
    const auto number = parts ? take_number(rest, "-") : std::nullopt;
    if (!number || *number == 0 || *number > *parts) return std::nullopt;
    return PartName{.stem = rest, .number = *number, .parts = *parts};
  }
  return std::nullopt;
}

}  // namespace folio::hub
