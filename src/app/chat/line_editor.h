// A line on a terminal with editing keys, history and completion of commands (libedit).
// Threads: the main thread. Requires: standard input is a terminal; the SignalScope outlives the editor.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/chat/line_source.h"
#include "platform/signals.h"

namespace folio::app {

class LineEditor final : public LineSource {
 public:
  struct Options {
    std::span<const std::string> history;  // oldest first
    std::vector<std::string> completions;  // first words that the tab key completes: "/help", ...
  };
  LineEditor(platform::SignalScope& signals, Options options);
  ~LineEditor() override;

  InputLine read_line(std::string_view prompt) override;
  void remember(const std::string& line);  // into the history of this session

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace folio::app
