// The two files of a batch: requests read line by line, and results appended line by line, so that a kill
// loses at most the line being written, and the next start knows what is done.
//
// Thread rule: one owner.
#pragma once

#include <cstddef>
#include <fstream>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "platform/locked_file.h"

namespace folio::app {

class BatchInput {
 public:
  [[nodiscard]] static Result<BatchInput> open(const std::string& path);

  // The next line that is not blank. A line longer than kMaxBatchLineBytes is skipped to its end and reported
  // as too long. nullopt: the end.
  struct Line {
    std::size_t number;  // from 1, blank ones counted
    std::string text;
    bool too_long = false;
  };
  std::optional<Line> next();
  std::size_t bytes_read() const { return bytes_read_; }
  std::size_t bytes() const { return bytes_; }

 private:
  BatchInput(std::ifstream file, std::size_t bytes) : file_(std::move(file)), bytes_(bytes) {}

  std::ifstream file_;
  std::size_t bytes_, bytes_read_ = 0, number_ = 0;
};

class BatchOutput {
 public:
  // Opens or creates the file, for this process alone. What an earlier run wrote is kept, but for a last line
  // without an end, which a kill cut off. Errors: kInvalid where the file holds anything else than results of
  // a batch, or is the input, or another batch writes it; it is then as it was.
  [[nodiscard]] static Result<BatchOutput> open(const std::string& path, const std::string& input);

  // Input lines that are answered already, with their custom_id.
  const std::unordered_map<std::size_t, std::string>& done() const { return done_; }
  // One line, on its way to the disk when this returns.
  [[nodiscard]] Status append(const std::string& line);

 private:
  BatchOutput(std::unordered_map<std::size_t, std::string> done, platform::LockedFile file)
      : done_(std::move(done)), file_(std::move(file)) {}

  std::unordered_map<std::size_t, std::string> done_;
  platform::LockedFile file_;
};

}  // namespace folio::app
