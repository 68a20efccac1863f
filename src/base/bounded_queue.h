// BoundedQueue: the only way work passes between threads. A full queue is an answer (the producer refuses,
// drops or retries), never a reason to block or to grow.
//
// Thread rule: every member may be called from any thread. Order: first in, first out over all producers.
// Memory: `capacity` slots, taken once; T is default-constructible and movable.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"

namespace folio {

enum class Push { kDone, kFull, kClosed };

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
    {
      std::lock_guard lock(mutex_);
      if (closed_) return Push::kClosed;
      if (count_ == slots_.size()) return Push::kFull;
      slots_[(first_ + count_) % slots_.size()] = std::move(item);
      ++count_;
    }
    not_empty_.notify_one();
    return Push::kDone;
  }

  // nullopt: nothing is waiting.
  std::optional<T> try_pop() {
    std::lock_guard lock(mutex_);
    return take();
  }

  // Waits for an item; nullopt: closed, and everything pushed before has been taken.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [this] { return count_ > 0 || closed_; });
    return take();
  }

  // Ends the queue for producers; consumers still get what is in it. May be called more than once.
  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    not_empty_.notify_all();
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return count_;
  }
  std::size_t capacity() const { return slots_.size(); }

 private:
  std::optional<T> take() {
    if (count_ == 0) return std::nullopt;
    std::optional<T> item(std::exchange(slots_[first_], T{}));
    first_ = (first_ + 1) % slots_.size();
    --count_;
    return item;
  }

  mutable std::mutex mutex_;
  std::condition_variable not_empty_;
  std::vector<T> slots_;  // ring; items at [first_, first_ + count_)
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  bool closed_ = false;
};

}  // namespace folio
