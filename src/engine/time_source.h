// The engine's clock, so that tests can say what time it is.
#pragma once

#include <chrono>

namespace folio::engine {

// Never goes backwards. Thread rule: now_ms() may be called from any thread.
class TimeSource {
 public:
  virtual ~TimeSource() = default;
  virtual double now_ms() const = 0;  // since some moment in the past
};

class SteadyTime final : public TimeSource {
 public:
  double now_ms() const override {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace folio::engine
