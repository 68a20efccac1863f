// Backoff: how long to wait before trying again, and when to give up.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace folio::hub {

class Backoff {
 public:
  static constexpr int kAttempts = 5;  // in a row without success
  static constexpr std::chrono::milliseconds kFirst{500}, kLongest{60'000};

  // After a failure: the time to wait, twice the last one's, and as long as the server asks; nullopt: enough.
  // A server that asks for more than kLongest is not waited for.
  std::optional<std::chrono::milliseconds> next(std::chrono::seconds asked = {}) {
    if (++failures_ >= kAttempts || asked > kLongest) return std::nullopt;
    const std::chrono::milliseconds wait = kFirst * (1 << (failures_ - 1));
    return std::max(wait, std::chrono::milliseconds(asked));
  }
  // Something came: counting starts again.
  void succeed() { failures_ = 0; }

 private:
  int failures_ = 0;
};

}  // namespace folio::hub
