#include "app/batch/file.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "app/batch/request.h"
#include "app/batch/response.h"

namespace folio::app {
namespace {

namespace fs = std::filesystem;

// Results are longer than requests: several answers, log-probabilities.
constexpr std::size_t kMaxResultLineBytes = 16 * kMaxBatchLineBytes;

struct ReadLine {
  std::size_t bytes = 0;  // its end included, if there is one
  bool ended = false;     // by a line end, not by the file's
  bool too_long = false;  // `text` is only its beginning
};

// One line into `text`, without its end. 0 bytes: the file is over.
ReadLine read_line(std::ifstream& file, std::size_t most, std::string& text) {
  ReadLine read;
  text.clear();
  for (int c = file.get(); c != std::ifstream::traits_type::eof(); c = file.get()) {
    ++read.bytes;
    if (c == '\n') {
      read.ended = true;
      break;
    }
    if (text.size() < most) {
      text.push_back(static_cast<char>(c));
    } else {
      read.too_long = true;
    }
  }
  if (text.ends_with('\r')) text.pop_back();
  return read;
}

// Whether a line without an end is the beginning of a result.
bool begins_as_result(std::string_view text) {
  constexpr std::string_view kHead = R"({"id":"batch_req_)";
  const std::size_t common = std::min(text.size(), kHead.size());
  return text.substr(0, common) == kHead.substr(0, common);
}

}  // namespace

Result<BatchInput> BatchInput::open(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    return fail(ErrorKind::kNotFound, "{}: there is no such file; give one with a request on each line",
                path);
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorKind::kIo, "{}: the file cannot be read", path);
  return BatchInput(std::move(file), fs::file_size(path, error));
}

std::optional<BatchInput::Line> BatchInput::next() {
  Line line;
  for (;;) {
    const ReadLine read = read_line(file_, kMaxBatchLineBytes, line.text);
    if (read.bytes == 0) return std::nullopt;
    bytes_read_ += read.bytes;
    line.number = ++number_;
    line.too_long = read.too_long;
    if (line.text.find_first_not_of(" \t") != std::string::npos) return line;
  }
}

Result<BatchOutput> BatchOutput::open(const std::string& path, const std::string& input) {
  std::error_code error;
  if (fs::equivalent(path, input, error))
    return fail(ErrorKind::kInvalid, "{}: the results cannot go into the file of requests; give another name",
                path);
  const fs::path resolved = fs::is_symlink(path, error) ? fs::weakly_canonical(path, error) : fs::path(path);
  FOLIO_TRY(locked, platform::LockedFile::open(resolved.string(), platform::LockedFile::IfLocked::kGiveUp));
  if (!locked)
    return fail(ErrorKind::kInvalid,
                "{}: another folio batch writes this file; let it end, or give another name", path);
  std::unordered_map<std::size_t, std::string> done;
  std::size_t whole_bytes = 0;
  std::ifstream file(resolved, std::ios::binary);
  std::string text;
  for (;;) {
    const ReadLine read = read_line(file, kMaxResultLineBytes, text);
    if (read.bytes == 0) break;
    // A torn line is cut off only if it is surely one of ours.
    if (!read.ended && (!done.empty() || begins_as_result(text))) break;
    const auto mark = read_batch_mark(text);
    if (!mark)
      return fail(
          ErrorKind::kInvalid,
          "{}: line {} is not a result of folio batch; give the name of a new file, or of one that an "
          "earlier run of this batch began",
          path, done.size() + 1);
    if (!done.emplace(mark->line, mark->custom_id).second)
      return fail(ErrorKind::kInvalid, "{}: two results answer line {} of the input", path, mark->line);
    whole_bytes += read.bytes;
  }
  if (whole_bytes != locked->bytes()) FOLIO_TRY_STATUS(locked->cut(whole_bytes));
  return BatchOutput(std::move(done), std::move(*locked));
}

Status BatchOutput::append(const std::string& line) { return file_.append(line + '\n'); }

}  // namespace folio::app
