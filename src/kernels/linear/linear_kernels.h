// One panel of a linear layer: 16 outputs for any number of activation rows. All instruction sets give the
// same bits as reference.cc, and a row's result does not depend on how many rows share the call: sums run
// over the columns in ascending order, vectorised across outputs, never across columns.
//
// Panel layouts (o = output 0..15 of the panel, k = column), as pack() in packed_matrix.h writes them:
//   f32   [columns][16] float            sum = fma(x[k], w[k][o], sum)
//   f16   [columns][16] half             the same
//   bf16  [columns / 2][16][2] bfloat16  the same, even column first; an odd last column is padded with zero
//   q8_0, q4_0, q4_1: one unit after another, so that a panel is a single stream of memory. A unit is a line
//   of 64 bytes of halves and then the codes of the groups of 32 columns that those halves belong to:
//     q8_0  [2 groups][16] scales, 2 x codes [8][16][4] int8 (four consecutive columns of each output
//     together)
//           sum = fma(sw * sx, float(dot of 32 codes), sum) for each group
//     q4_0  [2 groups][16] scales, 2 x codes [4][16][4] bytes: of quad q the low nibbles are columns 4q..4q+3
//     of the group,
//           the high ones 16+4q..16+4q+3, so a byte of the panel is a byte of the file; the dot is of (nibble
//           - 8)
//     q4_1  [scales, minima][16], 1 x codes as q4_0; the dot is of the nibble, and
//           sum = fma(minimum, sx * float(sum of the activation codes), sum) follows
//     With an odd number of groups the last unit's second half is zero and not computed.
//   rows  [16][columns] float, row after row: the format for every other type, expanded row by row before the
//   call.
//         Sixteen partial sums (column k in lane k % 16, the last sixteen filled up with zeros) added as
//         sum_lanes() does.
// Outputs past `width` are padding: they are computed from zeros and not stored.
#pragma once

#include <cstddef>
#include <cstdint>

namespace folio::kernels {

inline constexpr std::size_t kPanelOutputs = 16;

enum class LinearFormat : std::uint8_t {
#define LINEAR_KERNEL(field, Format) Format,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

enum class Epilogue : std::uint8_t {
  kStore,  // out = sum (+ bias)
  kAdd,    // out += sum (+ bias): the residual stream
};

// The activations of `rows` rows, as floats or as int8 (one of the two sets, by the weight format).
struct ActivationRows {
  const float* values;  // [rows][value_stride]
  std::size_t value_stride;
  const std::int8_t* codes;  // [rows][planes][code_stride], see QuantizedRow; high plane first
  const float* scales;       // [rows][group_stride]
  const std::int32_t* sums;  // [rows][group_stride]
  std::size_t code_stride;
  std::size_t group_stride;
  std::size_t rows;
  std::size_t planes = 1;  // 1: int8. 2: sixteen bits, the dot of a group is 256 dot(high) + dot(low)
};

struct PanelArgs {
  const std::uint8_t* panel;
  std::size_t columns;
  const ActivationRows* x;
  float* out;  // [rows][out_stride]; this panel's outputs are out[row * out_stride + 0..width)
  std::size_t out_stride;
  std::size_t width;  // 1..16
  const float* bias;  // [width], or nullptr
  Epilogue epilogue;
};

// Where group g of a quantised panel is. Always inlined: nothing of it may be shared between instruction
// sets. `code_bytes` per group: 512 (q8_0) or 256; `unit_groups`: 2, or 1 (q4_1).
template <std::size_t code_bytes, std::size_t unit_groups>
struct PanelUnits {
  static constexpr std::size_t kHalvesBytes = 64;
  static constexpr std::size_t kUnitBytes = kHalvesBytes + unit_groups * code_bytes;
  [[gnu::always_inline]] static const std::uint8_t* halves(const std::uint8_t* panel, std::size_t g) {
    return panel + g / unit_groups * kUnitBytes + g % unit_groups * kPanelOutputs * 2;
  }
  [[gnu::always_inline]] static const std::uint8_t* codes(const std::uint8_t* panel, std::size_t g) {
    return panel + g / unit_groups * kUnitBytes + kHalvesBytes + g % unit_groups * code_bytes;
  }
};
using Q8Units = PanelUnits<512, 2>;
using Q4_0Units = PanelUnits<256, 2>;
using Q4_1Units = PanelUnits<256, 1>;

using PanelKernel = void (*)(const PanelArgs&);

struct LinearKernels {
#define LINEAR_KERNEL(field, Format) PanelKernel field;
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

extern const LinearKernels kLinearReference;
#if defined(__x86_64__)
extern const LinearKernels kLinearAvx2;
extern const LinearKernels kLinearAvx512;
extern const LinearKernels kLinearAmx;
// kLinearAmx on the model of the tile registers in amx_tiles.h: slow, for tests on machines with AVX-512 but
// no AMX.
extern const LinearKernels kLinearAmxModel;
#endif

}  // namespace folio::kernels
