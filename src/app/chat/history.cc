#include "app/chat/history.h"

#include <filesystem>
#include <tuple>

#include "platform/file.h"
#include "text/utf8.h"

namespace folio::app {
namespace {

constexpr std::size_t kMaxLineBytes = 4096;

bool worth_keeping(std::string_view line) {
  return line.size() <= kMaxLineBytes && line.find_first_not_of(" \t") != std::string_view::npos &&
         line.find('\n') == std::string_view::npos && !text::first_invalid_utf8(line);
}

}  // namespace

std::vector<std::string> HistoryFile::load() const {
  std::vector<std::string> lines;
  const auto content = platform::read_file(path_, 2 * kMaxHistoryBytes);
  if (!content) return lines;
  for (std::size_t start = 0; start < content->size();) {
    const std::size_t end = std::min(content->find('\n', start), content->size());
    std::string line = content->substr(start, end - start);
    if (worth_keeping(line)) lines.push_back(std::move(line));
    start = end + 1;
  }
  return lines;
}

void HistoryFile::append(std::string_view line) const {
  if (!worth_keeping(line)) return;
  std::vector<std::string> lines = load();
  if (!lines.empty() && lines.back() == line) return;
  lines.emplace_back(line);
  std::size_t bytes = 0, first = lines.size();
  while (first > 0 && lines.size() - first < kMaxHistoryLines &&
         bytes + lines[first - 1].size() < kMaxHistoryBytes)
    bytes += lines[--first].size() + 1;
  std::string content;
  for (; first < lines.size(); ++first) content += lines[first] + "\n";
  if (!platform::make_private_folders(std::filesystem::path(path_).parent_path().string())) return;
  std::ignore = platform::write_file_atomically(path_, content, platform::FileAccess::kOwner);
}

}  // namespace folio::app
