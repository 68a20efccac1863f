// Packing and unpacking of the quantised panel layouts. Internal to kernels/linear; everyone else calls
// pack_panel() and unpack_row().
#pragma once

#include <cstddef>

#include "kernels/linear/packed_matrix.h"

namespace folio::kernels {

// Bytes of one panel. Requires, here and below: takes_codes(shape.format).
std::size_t quantized_panel_bytes(const MatrixShape& shape);

// Packs `rows` stored rows into a panel; the rest of its 16 outputs, and groups past the columns, keep the
// codes that they had.
void pack_quantized(const MatrixShape& shape, const std::byte* source, std::size_t rows, std::byte* panel);

// Expands output `o` of a panel to f32, in the order of operations of dequantize().
void unpack_quantized(const MatrixShape& shape, const std::byte* panel, std::size_t o, float* out);

}  // namespace folio::kernels
