#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace folio::engine {

std::string StopMatcher::push(std::string_view text) {
  if (found_) return {};
  pending_ += text;
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, pending_.find(stop));
  if (first != std::string::npos) {
    found_ = true;
    pending_.resize(first);
    return std::exchange(pending_, {});
  }
  const std::size_t held = held_bytes();
  std::string shown = pending_.substr(0, pending_.size() - held);
  pending_.erase(0, shown.size());
  return shown;
}

std::string StopMatcher::flush() { return std::exchange(pending_, {}); }

// Length of the longest end of the pending text that is the beginning of a stop text.
std::size_t StopMatcher::held_bytes() const {
  std::size_t held = 0;
  for (const std::string& stop : stops_)
    for (std::size_t length = std::min(stop.size() - 1, pending_.size()); length > held; --length)
      if (std::string_view(pending_).ends_with(std::string_view(stop).substr(0, length))) {
        held = length;
        break;
      }
  return held;
}

}  // namespace folio::engine
