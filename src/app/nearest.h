// "Did you mean": the known word that is closest to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace folio::app {

// Fewest single-character insertions, deletions, replacements and swaps of neighbours. O(|a| x |b|).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

// " (did you mean X?)", or "" when nothing known is close (a third of the word, at most 3 edits).
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string> known);

}  // namespace folio::app
