// Numbers of any stored type to float32: the definition of what a weight means, and the reference for fast
// kernels.
#pragma once

#include <cstddef>

#include "kernels/tensor_type.h"

namespace folio::kernels {

// Writes the `n` numbers that start at `blocks` to `out`. Each value is computed in float32 in the order in
// which the format's definition computes it; at most the last operation rounds. `blocks` may have any
// alignment. Every bit pattern is a valid block. Thread-safe; no allocation. Cost: one pass; under 1 ns per
// number for the simple types. Requires: n is a multiple of info(type).elements; `blocks` holds
// row_bytes(type, n) bytes; no overlap with `out`.
void dequantize(TensorType type, const std::byte* blocks, float* out, std::size_t n);

}  // namespace folio::kernels
