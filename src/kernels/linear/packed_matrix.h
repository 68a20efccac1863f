// A weight matrix in the layout that the panel kernels read, and the packing from the file's layout at load.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "kernels/linear/linear_kernels.h"
#include "kernels/tensor_type.h"

namespace folio::kernels {

// What multiplies what in a linear layer.
enum class Arithmetic : std::uint8_t {
  kMixed,  // quantised weights times int8 activations, those of a row's outstanding groups 16 bits; bf16
           // weights times bf16 activations, which nothing else rounds: the default
  kInt16,  // all of about 16 bits, as two planes of int8: twice the work where many rows meet a weight
  kFloat,  // every weight expanded to f32, f32 activations: slow; the yardstick for the others
};
// The names of all, as flags and reports spell them: mixed, int16, f32.
std::string_view name(Arithmetic arithmetic);
std::optional<Arithmetic> arithmetic_of(std::string_view name);
// Whether bf16 weights meet activations rounded to bf16.
constexpr bool rounds_to_bf16(Arithmetic arithmetic) { return arithmetic == Arithmetic::kMixed; }

// The layout for weights stored as `type`. Types without a layout of their own stay as they are (kRows) and
// are expanded row by row, exactly.
LinearFormat linear_format(TensorType type, Arithmetic arithmetic);
std::string_view name(LinearFormat format);
// Whether the layout is quantised and meets int8 activations.
constexpr bool takes_codes(LinearFormat format) {
  return format != LinearFormat::kF32 && format != LinearFormat::kF16 && format != LinearFormat::kBF16 &&
         format != LinearFormat::kBF16Dots && format != LinearFormat::kRows;
}
// Whether it meets activations rounded to bfloat16.
constexpr bool takes_bfloats(LinearFormat format) { return format == LinearFormat::kBF16Dots; }

struct MatrixShape {
  TensorType type;      // how the weights are stored
  LinearFormat format;  // how they are laid out
  std::size_t rows;     // outputs
  std::size_t columns;  // inputs, a multiple of the type's block

  std::size_t panels() const { return (rows + kPanelOutputs - 1) / kPanelOutputs; }
  // Bytes of one panel, and of the whole: panels are padded to 16 outputs and 64 bytes; kRows is the stored
  // bytes. Bytes per panel for K columns, in brackets what the file takes where that is less:
  //   f32 64 K, f16 32 K, bf16 32 K (K rounded up to even)
  //   q8_0 17 K, q4_0 9 K, q5_0 11 K, iq4_nl 9 K, mxfp4 9 K [8.5 K] (K rounded up to 64); q4_1 10 K, q5_1 12
  //   K q2_k 5.25 K, q3_k 7.25 K [6.875 K], q4_k 9.25 K [9 K], q5_k 11.25 K [11 K], q6_k 13.25 K [13.125 K],
  //   iq4_xs 8.75 K [8.5 K]
  std::size_t panel_bytes() const;
  std::size_t packed_bytes() const;
};

// Does not own its memory. Immutable, so any number of threads may read it.
struct PackedMatrix {
  MatrixShape shape{};
  const std::byte* data = nullptr;
};

// Writes panel `panel` of the matrix whose stored rows begin at `source` (row_bytes(type, columns) apart;
// `rows_left` of them exist, at least 1) to `panel_data`. Padding is zero. Thread-safe on distinct panels.
// Requires: format is not kRows (those bytes are copied whole) and panel_data has panel_bytes() bytes.
void pack_panel(const MatrixShape& shape, const std::byte* source, std::size_t rows_left,
                std::byte* panel_data);

// Expands row `row` to f32, out[0..columns): for embeddings, which share the matrix with the output layer
// when tied.
void unpack_row(const PackedMatrix& matrix, std::size_t row, float* out);

}  // namespace folio::kernels
