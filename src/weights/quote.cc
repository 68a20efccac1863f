#include "weights/quote.h"

#include <fmt/format.h>

#include <iterator>

namespace folio::weights {

std::string quote(std::string_view name) {
  constexpr std::size_t kMaxShown = 80;
  std::string text = "'";
  for (const char c : name.substr(0, kMaxShown)) {
    if (c >= ' ' && c <= '~') {
      text += c;
    } else {
      fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  text += name.size() > kMaxShown ? "...'" : "'";
  return text;
}

}  // namespace folio::weights
