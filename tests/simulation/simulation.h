// One simulated life of an engine: from a seed come its pool, its limits and policies, and everything that
// happens to it: requests that begin alike, forks, beam searches, cancellations, deadlines, floods. After
// every step all invariants are checked, and every token against what the model's specification says for its
// request alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace folio::simulation {

struct Life {
  std::size_t steps = 0;
  std::uint64_t preemptions = 0, forks = 0, searches = 0, pooled = 0, cancelled = 0, swapped_blocks = 0;
  std::uint64_t hit_tokens = 0, evicted_blocks = 0, copied_blocks = 0;
  std::string failure;  // empty: none
};

Life live(std::uint64_t seed);

}  // namespace folio::simulation
