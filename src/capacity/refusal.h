// What plan.cc and the sentences of refusal.cc share. Internal to this floor.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "capacity/plan.h"

namespace folio::capacity {

struct Question {
  const Machine& machine;
  const ModelShape& shape;
  const Wish& wish;
  const Bound& bound;  // the one that counts
};

struct Sizes {
  std::size_t context = 0, blocks = 0;
};

// Every line for these sizes, whether they fit or not. Cost: some arithmetic.
[[nodiscard]] Plan lay_out(const Question& q, const Sizes& sizes);
// The most blocks with which everything together takes no more than `available_bytes`; 0: not one.
[[nodiscard]] std::size_t most_blocks(const Question& q, std::size_t context, std::size_t available_bytes);

// Why these sizes cannot be had: the sum, what is available, and what fits.
[[nodiscard]] Error refusal(const Question& q, const Sizes& sizes);
// The size of the pool as it was asked for: "--kv-tokens 4096".
[[nodiscard]] std::string asked_text(const Question& q);
// "15.6 GB", "312 MB", "12 KB": units of 1024.
[[nodiscard]] std::string size_text(std::size_t bytes);

}  // namespace folio::capacity
