#include "app/count.h"

#include <charconv>
#include <cmath>

namespace folio::app {

Result<std::size_t> parse_count(std::string_view flag, std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::string_view kDecimal = "kmgt", kBinary = "KMGT";
  double unit = 1;
  bool known = suffix.empty();
  if (suffix.size() == 1) {
    const std::size_t small = kDecimal.find(suffix[0]), large = kBinary.find(suffix[0]);
    known = small != std::string_view::npos || large != std::string_view::npos;
    if (known)
      unit = small != std::string_view::npos ? std::pow(1000.0, small + 1) : std::pow(1024.0, large + 1);
  }
  const double count = value * unit;
  if (error != std::errc() || !known || !(count >= 0 && count < 9e15) ||
      (suffix.empty() && std::trunc(value) != value))
    return fail(ErrorKind::kInvalid,
                "--{} takes a whole number, with k, m, g (thousands) or K, M, G (1024s) behind it if you "
                "like, not '{}'",
                flag, text);
  return static_cast<std::size_t>(count + 0.5);
}

}  // namespace folio::app
