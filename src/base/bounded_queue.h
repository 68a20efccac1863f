// BoundedQueue: the only way work passes between threads. A full queue is an answer (the producer refuses,
// drops or retries), never a reason to block or to grow; an empty one too. Who waits for work is woken by
// other means (platform/worker.h).
//
// Thread rule: every member may be called from any thread. Order: first in, first out over all producers.
// Memory: `capacity` slots, taken once; T is default-constructible and movable.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"

namespace folio {

enum class Push { kDone, kFull };

template <typename T>
class BoundedQueue {
 public:
  // Requires: capacity > 0.
  explicit BoundedQueue(std::size_t capacity) : slots_(capacity) {
    FOLIO_CHECK(capacity > 0, "a queue of no slots could never pass anything on");
  }
  BoundedQueue(const BoundedQueue&) = delete;
  BoundedQueue& operator=(const BoundedQueue&) = delete;

  // `item` is moved from only when the answer is kDone.
  [[nodiscard]] Push try_push(T&& item) {
    std::lock_guard lock(mutex_);
    if (count_ == slots_.size()) return Push::kFull;
    slots_[(first_ + count_) % slots_.size()] = std::move(item);
    ++count_;
    return Push::kDone;
  }

  // nullopt: nothing is waiting.
  std::optional<T> try_pop() {
    std::lock_guard lock(mutex_);
    if (count_ == 0) return std::nullopt;
    std::optional<T> item(std::exchange(slots_[first_], T{}));
    first_ = (first_ + 1) % slots_.size();
    --count_;
    return item;
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return count_;
  }
  std::size_t capacity() const { return slots_.size(); }

 private:
  mutable std::mutex mutex_;
  std::vector<T> slots_;  // ring; items at [first_, first_ + count_)
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace folio
