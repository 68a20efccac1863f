#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace folio {

Hash128 hash128(std::initializer_list<std::span<const std::byte>> parts) {
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset(&state);
  for (std::span<const std::byte> part : parts) XXH3_128bits_update(&state, part.data(), part.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {.low = hash.low64, .high = hash.high64};
}

}  // namespace folio
