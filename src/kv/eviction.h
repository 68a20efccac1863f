// The orders of eviction, by name.
#pragma once

#include <cstddef>
#include <memory>

#include "kv/evictor.h"

namespace folio::kv {

enum class Eviction {
  kLru,   // the least recently used first
  kCost,  // what is cheapest to compute again, and was of least use, first
};

// `attention_share`: what one token costs to compute for each token before it, where its linear layers cost
// 1; only for Eviction::kCost.
std::unique_ptr<Evictor> make_evictor(Eviction eviction, std::size_t blocks, double attention_share);
// The memory that it takes at creation.
std::size_t evictor_bytes_per_block(Eviction eviction);

}  // namespace folio::kv
