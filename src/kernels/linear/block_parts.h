// The block formats of files taken apart: codes, scales and minima each by itself, which is what a panel is
// packed from. Internal to kernels/linear.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/tensor_type.h"

namespace folio::kernels {

// One block. What a number means follows from the type: see the table in linear_kernels.h.
struct BlockParts {
  std::array<std::uint16_t, 2> halves;                // scale or d; minimum or dmin
  std::array<std::array<std::uint8_t, 2>, 16> bytes;  // per group: scale, minimum (or both in the first)
  std::array<std::uint8_t, 256> codes;  // in the order of the columns, offset or index as stored
};

using SplitBlock = void (*)(const std::uint8_t* block, BlockParts& parts);

// Takes apart a block of the quantised types that have a panel layout; nullptr for all other types. No bits
// are lost. The function writes the parts that its type has.
SplitBlock block_splitter(TensorType type);

}  // namespace folio::kernels
