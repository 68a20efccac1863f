// Pooler: the hidden states of a prompt -> one vector.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/request.h"

namespace folio::engine {

// One thread. Cost: O(hidden) per row; allocates with the first one.
class Pooler {
 public:
  Pooler(Pooling pooling, std::size_t prompt_tokens)
      : pooling_(pooling), next_(pooling == Pooling::kLast ? prompt_tokens - 1 : 0) {}

  // The row of `position`. Rows come in ascending order of their positions; one that comes again (its
  // sequence was preempted, and computes it a second time) changes nothing, nor does one that is not wanted.
  void add(std::size_t position, std::span<const float> hidden);
  // Requires: pooling is not kNone, and every wanted row was added.
  [[nodiscard]] std::vector<float> result() const;

 private:
  Pooling pooling_;
  std::size_t next_;          // the position that is waited for
  std::size_t rows_ = 0;      // added up
  std::vector<double> sums_;  // [hidden]
};

}  // namespace folio::engine
