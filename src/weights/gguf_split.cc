#include "weights/gguf_split.h"

#include <fmt/format.h>

#include <charconv>

namespace folio::weights {
namespace {

constexpr std::string_view kForm = "-00001-of-00001.gguf";
constexpr std::size_t kDigits = 5;

std::optional<std::uint32_t> five_digits(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + kDigits, value);
  return error == std::errc() && end == text.data() + kDigits ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<SplitName> parse_split_name(std::string_view path) {
  if (path.size() < kForm.size()) return std::nullopt;
  const std::string_view prefix = path.substr(0, path.size() - kForm.size());
  const std::string_view tail = path.substr(prefix.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf") return std::nullopt;
  const auto number = five_digits(tail.substr(1, kDigits));
  const auto parts = five_digits(tail.substr(10, kDigits));
  if (!number || !parts || *number < 1 || *number > *parts) return std::nullopt;
  return SplitName{std::string(prefix), *number, *parts};
}

std::string split_name(const SplitName& name) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", name.prefix, name.number, name.parts);
}

}  // namespace folio::weights
