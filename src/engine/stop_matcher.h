// StopMatcher: finds stop texts in a stream of text, also across the borders of its pieces.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/shared_list.h"

namespace folio::engine {

// push() returns what may be shown: text that can no longer be the beginning of a stop text. Once a stop text
// is found, everything from it on is dropped and found() stays true. Cost: O(longest stop text) per
// character. One thread.
class StopMatcher {
 public:
  // Requires: no stop text is empty.
  explicit StopMatcher(SharedList<std::string> stops) : stops_(std::move(stops)) {}

  [[nodiscard]] std::string push(std::string_view text);
  // The end of the text: what was held back.
  [[nodiscard]] std::string flush();
  bool found() const { return found_; }

 private:
  std::size_t held_bytes() const;

  SharedList<std::string> stops_;
  std::string pending_;
  bool found_ = false;
};

}  // namespace folio::engine
