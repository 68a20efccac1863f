// Reading the small text files in which Linux reports: /proc/..., /sys/fs/cgroup/... Internal to this floor.
#pragma once

#include <charconv>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

namespace folio::platform {

// A whole number that begins at `text`; nullopt for anything else, "max" among it, and for more than 64 bits.
inline std::optional<std::size_t> leading_number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

// The number in a file that holds one.
inline std::optional<std::size_t> number_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;
  return leading_number(word);
}

// The number behind `label` in a file of lines like "VmRSS:   123 kB" or "inactive_file 4096".
inline std::optional<std::size_t> labelled_number(const std::filesystem::path& path, std::string_view label) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(label)) continue;
    const std::size_t digits = line.find_first_not_of(" \t", label.size());
    if (digits == std::string::npos || digits == label.size()) continue;  // a longer label, or none
    return leading_number(std::string_view(line).substr(digits));
  }
  return std::nullopt;
}

}  // namespace folio::platform
