// float32 rows to the block types that folio can make itself (weights quantised while loading).
#pragma once

#include <cstddef>

#include "kernels/tensor_type.h"

namespace folio::kernels {

// Q8_0 and Q4_0.
bool can_quantize_to(TensorType type);

// Writes row_bytes(type, n) bytes at `blocks`. Rounds as the format's reference does, so that the blocks are
// the ones a GGUF converter would have written:
//   Q8_0  d = amax / 127                             q = round(x / d), halves away from zero
//   Q4_0  d = (the value of largest magnitude) / -8   q = min(15, trunc(x / d + 8.5))
// d is stored as f16 (infinity if it overflows). A block that holds NaN or infinity becomes NaN as a whole,
// so that the damage stays visible. Thread-safe; no allocation. Requires: can_quantize_to(type); n is a
// multiple of info(type).elements.
void quantize(TensorType type, const float* values, std::byte* blocks, std::size_t n);

}  // namespace folio::kernels
