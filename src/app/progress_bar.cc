#include "app/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "platform/terminal.h"

namespace folio::app {
namespace {

constexpr std::chrono::milliseconds kFirstDraw{500}, kBetweenDraws{100};

}  // namespace

std::string format_bar(const std::string& label, std::size_t done, std::size_t total, std::size_t columns) {
  constexpr std::size_t kWidest = 40, kNarrowest = 5;
  const std::size_t around = label.size() + std::size(" []  100 %");
  if (columns < around + kNarrowest || total == 0) return {};
  const std::size_t width = std::min(kWidest, columns - around);
  const double share = static_cast<double>(std::min(done, total)) / static_cast<double>(total);
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  return fmt::format("{} [{}{}] {:3.0f} %", label, std::string(filled, '#'), std::string(width - filled, '.'),
                     share * 100);
}

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)),
      visible_(platform::is_terminal(platform::Stream::kError)),
      next_draw_(Clock::now() + kFirstDraw) {}

ProgressBar::~ProgressBar() {
  if (drawn_columns_ > 0)
    std::ignore =
        platform::write(platform::Stream::kError, fmt::format("\r{}\r", std::string(drawn_columns_, ' ')));
}

void ProgressBar::update(std::size_t done, std::size_t total) {
  if (!visible_ || Clock::now() < next_draw_) return;
  next_draw_ = Clock::now() + kBetweenDraws;
  const std::string bar =
      format_bar(label_, done, total, platform::terminal_columns(platform::Stream::kError));
  if (bar.empty()) return;
  std::ignore = platform::write(platform::Stream::kError, fmt::format("\r{}", bar));
  drawn_columns_ = bar.size();
}

}  // namespace folio::app
