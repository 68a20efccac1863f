// Latest: one value that a thread renews and others look at. Both copy it under a lock: for small values.
#pragma once

#include <mutex>
#include <utility>

namespace folio::platform {

template <typename T>
class Latest {
 public:
  void put(T value) {
    const std::scoped_lock lock(mutex_);
    value_ = std::move(value);
  }
  T get() const {
    const std::scoped_lock lock(mutex_);
    return value_;
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace folio::platform
