// The panel kernels in the sixteen-lane vocabulary; included by x86_avx2.cc, x86_avx512.cc and x86_amx.cc
// after their simd header.
#pragma once

#include "kernels/linear/linear_kernels.h"
#include "kernels/linear/x86_quantized.h"
#include "kernels/linear/x86_row_tiles.h"

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
    for (std::size_t k = 0; k < args.columns; ++k)
      multiply_add(sums, x + k, stride, load(w + k * kPanelOutputs));
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
    for (std::size_t k = 0; k < args.columns; ++k)
      multiply_add(sums, x + k, stride, load_f16(w + k * kPanelOutputs));
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
