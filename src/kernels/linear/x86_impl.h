// The panel kernels in the sixteen-lane vocabulary; included by x86_avx2.cc, x86_avx512.cc and x86_amx.cc
// after their simd header.
#pragma once

#include "kernels/linear/linear_kernels.h"
#include "kernels/linear/x86_quantized.h"
#include "kernels/linear/x86_row_tiles.h"
#include "kernels/simd/flush_denormals.h"

namespace folio::kernels {
namespace {

template <int R>
inline void multiply_add(F32x16 (&sums)[R], const float* x, std::size_t stride, F32x16 w) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) sums[r] = fma(set1(x[static_cast<std::size_t>(r) * stride]), w, sums[r]);
}

template <int R>
struct F32Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const auto* w = reinterpret_cast<const float*>(args.panel);
    const std::size_t stride = args.x->value_stride;
    const float* x = args.x->values + row * stride;
    F32x16 sums[R] = {};
    for (std::size_t k = 0; k < args.columns; ++k, w += kPanelOutputs) {
      ask_ahead<R, kAskingFloats, 64>(w);
      multiply_add(sums, x + k, stride, load(w));
    }
    store_tile(args, row, sums);
  }
};

template <int R>
struct F16Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const auto* w = reinterpret_cast<const std::uint16_t*>(args.panel);
    const std::size_t stride = args.x->value_stride;
    const float* x = args.x->values + row * stride;
    F32x16 sums[R] = {};
    for (std::size_t k = 0; k < args.columns; ++k, w += kPanelOutputs) {
      ask_ahead<R, kAskingFloats, 32>(w);
      multiply_add(sums, x + k, stride, load_f16(w));
    }
    store_tile(args, row, sums);
  }
};

template <int R>
struct Bf16Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const auto* w = reinterpret_cast<const std::uint16_t*>(args.panel);
    const std::size_t stride = args.x->value_stride;
    const float* x = args.x->values + row * stride;
    F32x16 sums[R] = {};
    F32x16 even, odd;
    std::size_t k = 0;
    for (; k + 2 <= args.columns; k += 2) {
      ask_ahead<R, kAskingFloats, 64>(w + k * kPanelOutputs);
      load_bf16_pairs(w + k * kPanelOutputs, even, odd);
      multiply_add(sums, x + k, stride, even);
      multiply_add(sums, x + k + 1, stride, odd);
    }
    if (k < args.columns) {
      load_bf16_pairs(w + k * kPanelOutputs, even, odd);
      multiply_add(sums, x + k, stride, even);
    }
    store_tile(args, row, sums);
  }
};

// Two multiply-adds for each pair, as VDPBF16PS does them. A few columns at a time: the activations of the
// tile are floats first, whose broadcast costs nothing.
template <int R>
struct Bf16DotsTile {
  static constexpr std::size_t kColumns = 256;

  static void expand(const std::uint16_t* x, std::size_t stride, std::size_t count,
                     float (&to)[R][kColumns]) {
    for (int r = 0; r < R; ++r, x += stride) {
      std::size_t k = 0;
      for (; k + 16 <= count; k += 16) store(to[r] + k, load_bf16(x + k));
      for (; k < count; ++k) to[r][k] = __builtin_bit_cast(float, static_cast<std::uint32_t>(x[k]) << 16);
    }
  }

  static void pin_all(F32x16 (&sums)[R]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) pin(sums[r]);
  }

  static void run(const PanelArgs& args, std::size_t row) {
    const auto* w = reinterpret_cast<const std::uint16_t*>(args.panel);
    const std::size_t stride = args.x->bfloat_stride, padded = (args.columns + 1) / 2 * 2;
    const std::uint16_t* x = args.x->bfloats + row * stride;
    alignas(64) float values[R][kColumns];
    F32x16 sums[R] = {};
    {
      const FlushDenormals flush;
      pin_all(sums);
      for (std::size_t first = 0; first < padded; first += kColumns) {
        const std::size_t count = padded - first < kColumns ? padded - first : kColumns;
        expand(x + first, stride, count, values);
        for (std::size_t k = 0; k < count; k += 2) {
          F32x16 even, odd;
          ask_ahead<R, kAskingFloats, 64>(w + (first + k) * kPanelOutputs);
          load_bf16_pairs(w + (first + k) * kPanelOutputs, even, odd);
          multiply_add(sums, values[0] + k + 1, kColumns, odd);
          multiply_add(sums, values[0] + k, kColumns, even);
        }
      }
      pin_all(sums);
    }
    pin_all(sums);
    store_tile(args, row, sums);
  }
};

template <int R>
struct RowsTile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t stride = args.x->value_stride;
    const float* x = args.x->values + row * stride;
    for (std::size_t o = 0; o < args.width; ++o) {
      const float* w = reinterpret_cast<const float*>(args.panel) + o * args.columns;
      F32x16 sums[R] = {};
      std::size_t k = 0;
      for (; k + 16 <= args.columns; k += 16) {
        const F32x16 wk = load(w + k);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
          sums[r] = fma(load(x + static_cast<std::size_t>(r) * stride + k), wk, sums[r]);
      }
      if (k < args.columns) {
        const F32x16 wk = load_first(w + k, args.columns - k);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
          sums[r] =
              fma(load_first(x + static_cast<std::size_t>(r) * stride + k, args.columns - k), wk, sums[r]);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        float sum = reduce_add(sums[r]);
        if (args.bias != nullptr) sum = sum + args.bias[o];
        float& out = args.out[(row + static_cast<std::size_t>(r)) * args.out_stride + o];
        out = args.epilogue == Epilogue::kAdd ? out + sum : sum;
      }
    }
  }
};

void f32(const PanelArgs& args) { for_row_tiles<F32Tile, kRowTile>(args); }
void f16(const PanelArgs& args) { for_row_tiles<F16Tile, kRowTile>(args); }
void bf16(const PanelArgs& args) { for_row_tiles<Bf16Tile, kRowTile>(args); }
void bf16_dots(const PanelArgs& args) { for_row_tiles<Bf16DotsTile, kRowTile>(args); }
void rows(const PanelArgs& args) { for_row_tiles<RowsTile, kRowTile>(args); }

constexpr PanelKernel q8_0 = Q8_0::run;
constexpr PanelKernel q4_0 = Q4_0::run;
constexpr PanelKernel q4_1 = Q4_1::run;
constexpr PanelKernel q5_0 = Q5_0::run;
constexpr PanelKernel q5_1 = Q5_1::run;
constexpr PanelKernel q2_k = Q2_K::run;
constexpr PanelKernel q3_k = Q3_K::run;
constexpr PanelKernel q4_k = Q4_K::run;
constexpr PanelKernel q5_k = Q5_K::run;
constexpr PanelKernel q6_k = Q6_K::run;
constexpr PanelKernel iq4_nl = IQ4_NL::run;
constexpr PanelKernel iq4_xs = IQ4_XS::run;
constexpr PanelKernel mxfp4 = MXFP4::run;

}  // namespace
}  // namespace folio::kernels
