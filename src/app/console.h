// Where a command writes: the answer on one stream, notes for the person on another, with dim text where that
// shows.
//
// After a failed write of an answer the rest of it is dropped, and failure() says why: whoever writes checks
// when it suits. A note that cannot be written is lost. Thread-compatible.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::app {

enum class Style { kPlain, kDim };
enum class Controls { kKeep, kHide };  // characters of an answer that steer a terminal

// Replaces every control character but tab and line end by U+FFFD: a model's text must not steer the
// terminal.
[[nodiscard]] std::string without_controls(std::string_view text);

class Console {
 public:
  using Write = std::function<Status(std::string_view)>;
  struct Options {
    Write answer, note;
    Style note_style = Style::kPlain;
    Controls controls = Controls::kKeep;
  };

  explicit Console(Options options) : options_(std::move(options)) {}

  // Answers to standard output, notes to standard error, dim where that is a terminal and NO_COLOR is not
  // set. Controls are hidden where answers go to a terminal.
  static Console standard_streams();

  void answer(std::string_view text);
  // Notes and errors may quote what a file or a client says: controls in them are hidden wherever they go.
  void note(std::string_view line);       // dim, with a line end
  void error(std::string_view sentence);  // "folio: ..." to where notes go
  void print(std::string_view text);      // to where notes go, as it is: our own words

  const std::optional<Error>& failure() const { return failure_; }

 private:
  Options options_;
  std::optional<Error> failure_;
};

}  // namespace folio::app
