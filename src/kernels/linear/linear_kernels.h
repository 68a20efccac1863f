// One panel of a linear layer: 16 outputs for any number of activation rows. All instruction sets give the
// same bits as reference.cc, and a row's result does not depend on how many rows share the call: sums run
// over the columns in ascending order, vectorised across outputs, never across columns.
//
// Panel layouts (o = output 0..15 of the panel, k = column), as pack_panel() in packed_matrix.h writes them:
//   f32   [columns][16] float            sum = fma(x[k], w[k][o], sum)
//   f16   [columns][16] half             the same
//   bf16  [columns / 2][16][2] bfloat16  the same, even column first; an odd last column is padded with zero
//   bf16_dots  as bf16, for activations rounded to bf16. Each pair of columns is two multiply-adds, the odd
//         column's first, in which denormals are zeros, as operands and (tiny after rounding, with their
//         sign) as results: what VDPBF16PS does
//   rows  [16][columns] float, row after row: the format for every other type, expanded row by row before the
//         call. Sixteen partial sums (column k in lane k % 16, the last sixteen filled up with zeros) added
//         as sum_lanes() does.
//   all others are quantised: groups of columns that share a scale, in the units of panel_units.h.
//
// A quantised weight is scale * (code - offset) - minimum, in groups of 32 or 16 columns (unit layout, code
// shape and what scale and minimum are made of: f = f16 stored with the group, d and dmin = f16 of the unit):
//            columns  codes                       offset  scale            minimum
//   q8_0       32     int8                           0    f                -
//   q4_0       32     nibbles                        8    f                -
//   q4_1       32     nibbles                        0    f                -f
//   q5_0       32     nibbles and a line of bits    16    f                -
//   q5_1       32     nibbles and a line of bits     0    f                -f
//   q4_k       32     nibbles                        0    d * u8           dmin * u8
//   q5_k       32     nibbles and a line of bits     0    d * u8           dmin * u8
//   q6_k       16     nibbles and a line of pairs   32    d * i8           -
//   q2_k       16     pairs                          0    d * low nibble   dmin * high nibble
//   q3_k       16     pairs and nibbles of bits      4    d * i8           -
//   iq4_nl     32     nibbles, table kBell           0    f                -
//   iq4_xs     32     nibbles, table kBell           0    d * i8           -
//   mxfp4      32     nibbles, table kE2M1           0    f, a bfloat16    -
// For each group in ascending order, with the activations' codes q and scale sx of the 32 columns it is in:
//   sum = fma(scale * sx, float(dot of (code - offset) and q), sum)
//   sum = fma(-minimum, sx * float(sum of q), sum)                     where there is a minimum
// The dots are exact 32-bit integers, and so are the products with d and dmin: eleven bits times eight at
// most. Outputs past `width` are padding: they are computed from zeros
// and not stored.
#pragma once

#include <cstddef>
#include <cstdint>

namespace folio::kernels {

inline constexpr std::size_t kPanelOutputs = 16;
// The planes of a row's codes: the dot of a group is 256 dot(high) + dot(low).
inline constexpr std::size_t kCodePlanes = 2;

enum class LinearFormat : std::uint8_t {
#define LINEAR_KERNEL(field, Format) Format,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

enum class Epilogue : std::uint8_t {
  kStore,  // out = sum (+ bias)
  kAdd,    // out += sum (+ bias): the residual stream
};

// The activations of `rows` rows, as floats, as two planes of int8 or as bfloat16 (one of the three, by the
// weight format).
struct ActivationRows {
  const float* values;  // [rows][value_stride]
  std::size_t value_stride;
  const std::int8_t* codes;       // [rows][kCodePlanes][code_stride], see QuantizedRow; high plane first
  const float* scales;            // [rows][group_stride]
  const std::int32_t* sums;       // [rows][group_stride]
  const std::int32_t* half_sums;  // [rows][group_stride][2]
  std::size_t code_stride;
  std::size_t group_stride;
  std::size_t rows;
  const std::uint8_t* wide = nullptr;      // [rows][group_stride] 0 where low is not to be read
  const std::uint16_t* bfloats = nullptr;  // [rows][bfloat_stride], a zero behind an odd last column
  std::size_t bfloat_stride = 0;           // even
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

using PanelKernel = void (*)(const PanelArgs&);

struct LinearKernels {
#define LINEAR_KERNEL(field, Format) PanelKernel field;
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

extern const LinearKernels kLinearReference;
#if defined(__x86_64__)
extern const LinearKernels kLinearAvx2;
extern const LinearKernels kLinearAvxVnni;  // kLinearAvx2 for a processor with CpuFeatures::avx_vnni
extern const LinearKernels kLinearAvx512;
extern const LinearKernels kLinearAmx;
// bf16_dots by VDPBF16PS, for the tables above on a processor that has it (CpuFeatures::avx512_bf16): their
// own does with AVX-512's plain multiply-adds.
extern const PanelKernel kBf16DotsAvx512Bf16;
// kLinearAmx on the model of the tile registers in amx_tiles.h: slow, for tests on machines with AVX-512 but
// no AMX.
extern const LinearKernels kLinearAmxModel;
// kLinearAvxVnni as AVX-512 machines execute it, for tests on those without AVX-VNNI.
extern const LinearKernels kLinearAvxVnniModel;
#endif

}  // namespace folio::kernels
