// Where a chat's lines come from: a terminal with line editing, or a test.
#pragma once

#include <string>
#include <string_view>

namespace folio::app {

struct InputLine {
  enum class Kind {
    kText,
    kInterrupt,  // Ctrl-C
    kEnd,        // Ctrl-D on an empty line, or the input is over
  };
  Kind kind = Kind::kEnd;
  std::string text;  // without the line end; any bytes
};

class LineSource {
 public:
  virtual ~LineSource() = default;
  virtual InputLine read_line(std::string_view prompt) = 0;
};

}  // namespace folio::app
