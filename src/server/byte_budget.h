// ByteBudget: how many bytes of one kind all requests together may hold, and ByteShare, what one of them
// holds.
//
// The first `free_bytes` of each share cost nothing, so that small requests pass where large ones have taken
// everything; their number is bounded by that of the connections.
//
// Thread rule: a budget from any thread; a share has one owner.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace folio::server {

class ByteBudget {
 public:
  ByteBudget(std::size_t most, std::size_t free_bytes) : most_(most), free_(free_bytes) {}

  std::size_t held() const { return held_; }
  std::size_t most() const { return most_; }

 private:
  friend class ByteShare;

  bool take(std::size_t bytes) {
    if (held_.fetch_add(bytes) + bytes <= most_) return true;
    held_ -= bytes;
    return false;
  }

  const std::size_t most_, free_;
  std::atomic<std::size_t> held_{0};
};

class ByteShare {
 public:
  ByteShare() = default;  // of no budget: any size
  explicit ByteShare(std::shared_ptr<ByteBudget> budget) : budget_(std::move(budget)) {}
  ByteShare(ByteShare&& other) noexcept
      : budget_(std::move(other.budget_)), counted_(std::exchange(other.counted_, 0)) {}
  ByteShare& operator=(ByteShare&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(counted_, other.counted_);
    return *this;
  }
  ~ByteShare() { resize(0); }

  // False: the budget has no room for so many; the share stays as it was.
  bool resize(std::size_t bytes) {
    if (!budget_) return true;
    const std::size_t wanted = bytes > budget_->free_ ? bytes - budget_->free_ : 0;
    if (wanted > counted_ && !budget_->take(wanted - counted_)) return false;
    if (wanted < counted_) budget_->held_ -= counted_ - wanted;
    counted_ = wanted;
    return true;
  }

 private:
  std::shared_ptr<ByteBudget> budget_;
  std::size_t counted_ = 0;
};

}  // namespace folio::server
