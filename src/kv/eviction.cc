#include "kv/eviction.h"

#include "kv/cost_evictor.h"
#include "kv/lru_evictor.h"

namespace folio::kv {

std::unique_ptr<Evictor> make_evictor(Eviction eviction, std::size_t blocks, double attention_share) {
  if (eviction == Eviction::kCost) return std::make_unique<CostEvictor>(blocks, attention_share);
  return std::make_unique<LruEvictor>(blocks);
}

std::size_t evictor_bytes_per_block(Eviction eviction) {
  return eviction == Eviction::kCost ? CostEvictor::bytes_per_block() : LruEvictor::bytes_per_block();
}

}  // namespace folio::kv
