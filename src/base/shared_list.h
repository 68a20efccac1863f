// SharedList<T>: an immutable list whose copies share one storage: what a client sends once and every prompt
// and answer of its request looks at.
//
// Thread rule: objects of one owner each; the storage is shared by any threads. Cost: a copy is a counter.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace folio {

template <typename T>
class SharedList {
 public:
  SharedList() = default;
  SharedList(std::vector<T> values)
      : values_(values.empty() ? nullptr : std::make_shared<const std::vector<T>>(std::move(values))) {}
  SharedList(std::initializer_list<T> values) : SharedList(std::vector<T>(values)) {}

  std::span<const T> span() const { return values_ ? std::span<const T>(*values_) : std::span<const T>(); }
  auto begin() const { return span().begin(); }
  auto end() const { return span().end(); }
  std::size_t size() const { return span().size(); }
  bool empty() const { return values_ == nullptr; }
  const T& operator[](std::size_t index) const { return (*values_)[index]; }
  void clear() { values_ = nullptr; }

  friend bool operator==(const SharedList& a, const SharedList& b) { return std::ranges::equal(a, b); }

 private:
  std::shared_ptr<const std::vector<T>> values_;  // null: empty
};

}  // namespace folio
