// The lines typed in earlier chats, kept in a file of the user.
//
// The file holds one line per entry, oldest first, at most kMaxHistoryLines and kMaxHistoryBytes; it is
// replaced as a whole and only its owner may read it. Several chats at once lose none of each other's lines
// unless they write in the same instant. Thread-compatible.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace folio::app {

inline constexpr std::size_t kMaxHistoryLines = 1000;
inline constexpr std::size_t kMaxHistoryBytes = 1u << 20;

class HistoryFile {
 public:
  explicit HistoryFile(std::string path) : path_(std::move(path)) {}

  // Oldest first; none where there is no readable file.
  [[nodiscard]] std::vector<std::string> load() const;

  // Adds a line to what the file holds now. Blank lines, the last line again, and lines of over 4 KB are not
  // kept. A history that cannot be written is done without.
  void append(std::string_view line) const;

 private:
  std::string path_;
};

}  // namespace folio::app
