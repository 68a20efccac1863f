// A progress bar on standard error: only on a terminal, only when the work takes longer than half a second.
// Plain characters, no escape codes. Thread-compatible.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace folio::app {

// "loading [######....]  61 %", at most `columns` wide; empty where that is too narrow.
[[nodiscard]] std::string format_bar(const std::string& label, std::size_t done, std::size_t total,
                                     std::size_t columns);

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();  // wipes the bar
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::size_t done, std::size_t total);  // draws at most ten times a second

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  bool visible_;
  Clock::time_point next_draw_;
  std::size_t drawn_columns_ = 0;
};

}  // namespace folio::app
