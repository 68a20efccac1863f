// The panel kernels in the sixteen-lane vocabulary; included by x86_avx2.cc and x86_avx512.cc after their
// simd header.
#pragma once

#include "kernels/linear/linear_kernels.h"

namespace folio::kernels {
namespace {

// Rows taken together, so that a weight, once loaded and expanded, serves several of them: their sums stay in
// registers.
constexpr int kRowTile = kLaneRegisters >= 32 ? 8 : 4;

// How far ahead of their use weights are asked for: some lines are always under way, also across the borders
// of a page of memory, where the processor's own prefetching stops.
constexpr std::size_t kPrefetchBytes = 1536;

inline void store_outputs(const PanelArgs& args, std::size_t row, F32x16 sum) {
  float* out = args.out + row * args.out_stride;
  if (args.width == kPanelOutputs) {
    if (args.bias != nullptr) sum = add(sum, load(args.bias));
    store(out, args.epilogue == Epilogue::kAdd ? add(load(out), sum) : sum);
    return;
  }
  if (args.bias != nullptr) sum = add(sum, load_first(args.bias, args.width));
  if (args.epilogue == Epilogue::kAdd) sum = add(load_first(out, args.width), sum);
  store_first(out, sum, args.width);
}

// The sums of R int8 rows: one row of outputs each, or each pair together where a row has two planes.
template <int R>
inline void store_tile(const PanelArgs& args, std::size_t code_row, const F32x16 (&sums)[R]) {
  if constexpr (R % 2 == 0) {
    if (args.x->planes == 2) {
#pragma GCC unroll 4
      for (int r = 0; r < R; r += 2)
        store_outputs(args, (code_row + static_cast<std::size_t>(r)) / 2, add(sums[r], sums[r + 1]));
      return;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) store_outputs(args, code_row + static_cast<std::size_t>(r), sums[r]);
}

// With two planes an even number, so that the tiles never part a pair.
inline std::size_t code_rows(const PanelArgs& args) { return args.x->rows * args.x->planes; }

// Calls tile<R>(first_row) over `rows` rows, R = kRowTile while enough rows are left, then fewer.
template <template <int> typename Tile>
inline void for_row_tiles(const PanelArgs& args, std::size_t rows) {
  std::size_t row = 0;
  for (; row + kRowTile <= rows; row += kRowTile) Tile<kRowTile>::run(args, row);
  if constexpr (kRowTile > 4)
    for (; row + 4 <= rows; row += 4) Tile<4>::run(args, row);
  for (; row + 2 <= rows; row += 2) Tile<2>::run(args, row);
  for (; row < rows; ++row) Tile<1>::run(args, row);
}

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
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) store_outputs(args, row + static_cast<std::size_t>(r), sums[r]);
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
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) store_outputs(args, row + static_cast<std::size_t>(r), sums[r]);
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
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) store_outputs(args, row + static_cast<std::size_t>(r), sums[r]);
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

inline F32x16 load_halves(const std::uint8_t* p) {
  return load_f16(reinterpret_cast<const std::uint16_t*>(p));
}

// The int8 activations of the rows of one tile, at one group of 32 columns.
struct GroupRows {
  const std::int8_t* codes;
  const float* scales;
  const std::int32_t* sums;
  std::size_t code_stride, group_stride;

  GroupRows(const PanelArgs& args, std::size_t row)
      : codes(args.x->codes + row * args.x->code_stride),
        scales(args.x->scales + row * args.x->group_stride),
        sums(args.x->sums + row * args.x->group_stride),
        code_stride(args.x->code_stride),
        group_stride(args.x->group_stride) {}

  const std::int8_t* code(int r, std::size_t g) const {
    return codes + static_cast<std::size_t>(r) * code_stride + g * 32;
  }
  float scale(int r, std::size_t g) const { return scales[static_cast<std::size_t>(r) * group_stride + g]; }
  std::int32_t sum(int r, std::size_t g) const {
    return sums[static_cast<std::size_t>(r) * group_stride + g];
  }
};

template <int R>
struct Q8Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t groups = args.columns / 32;
    const GroupRows x(args, row);
    F32x16 sums[R] = {};
    for (std::size_t g = 0; g < groups; ++g) {
      const auto* codes = reinterpret_cast<const std::int8_t*>(Q8Units::codes(args.panel, g));
      I32x16 dots[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) dots[r] = start_signed(x.sum(r, g));
      for (std::size_t quad = 0; quad < 8; ++quad) {
        prefetch(codes + quad * 64 + kPrefetchBytes);
        const SignedCodes w = load_signed(codes + quad * 64);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) dots[r] = dot_signed(dots[r], w, x.code(r, g) + quad * 4);
      }
      const F32x16 scale = load_halves(Q8Units::halves(args.panel, g));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sums[r] = fma(mul(scale, set1(x.scale(r, g))), to_float(dots[r]), sums[r]);
    }
    store_tile(args, row, sums);
  }
};

// The dots of one group of nibbles (`codes`, columns 32 g and on) with R rows; `offset` times the
// activations' sum is taken off (8 for Q4_0).
template <int R>
inline void nibble_dots(I32x16 (&dots)[R], const std::uint8_t* codes, const GroupRows& x, std::size_t g,
                        std::int32_t offset) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) dots[r] = set1_int(-offset * x.sum(r, g));
  for (std::size_t quad = 0; quad < 4; ++quad) {
    prefetch(codes + quad * 64 + kPrefetchBytes);
    const Bytes64 bytes = load_bytes(codes + quad * 64);
    const Bytes64 low = low_nibbles(bytes), high = high_nibbles(bytes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      dots[r] = dot_small(dots[r], low, x.code(r, g) + quad * 4);
      dots[r] = dot_small(dots[r], high, x.code(r, g) + 16 + quad * 4);
    }
  }
}

template <int R>
struct Q4_0Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t groups = args.columns / 32;
    const GroupRows x(args, row);
    F32x16 sums[R] = {};
    for (std::size_t g = 0; g < groups; ++g) {
      I32x16 dots[R];
      nibble_dots(dots, Q4_0Units::codes(args.panel, g), x, g, 8);
      const F32x16 scale = load_halves(Q4_0Units::halves(args.panel, g));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sums[r] = fma(mul(scale, set1(x.scale(r, g))), to_float(dots[r]), sums[r]);
    }
    store_tile(args, row, sums);
  }
};

template <int R>
struct Q4_1Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t groups = args.columns / 32;
    const GroupRows x(args, row);
    F32x16 sums[R] = {};
    for (std::size_t g = 0; g < groups; ++g) {
      I32x16 dots[R];
      nibble_dots(dots, Q4_1Units::codes(args.panel, g), x, g, 0);
      const std::uint8_t* halves = Q4_1Units::halves(args.panel, g);
      const F32x16 scale = load_halves(halves), minimum = load_halves(halves + kPanelOutputs * 2);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const float sx = x.scale(r, g);
        sums[r] = fma(mul(scale, set1(sx)), to_float(dots[r]), sums[r]);
        sums[r] = fma(minimum, set1(sx * static_cast<float>(x.sum(r, g))), sums[r]);
      }
    }
    store_tile(args, row, sums);
  }
};

void f32(const PanelArgs& args) { for_row_tiles<F32Tile>(args, args.x->rows); }
void f16(const PanelArgs& args) { for_row_tiles<F16Tile>(args, args.x->rows); }
void bf16(const PanelArgs& args) { for_row_tiles<Bf16Tile>(args, args.x->rows); }
void q8_0(const PanelArgs& args) { for_row_tiles<Q8Tile>(args, code_rows(args)); }
void q4_0(const PanelArgs& args) { for_row_tiles<Q4_0Tile>(args, code_rows(args)); }
void q4_1(const PanelArgs& args) { for_row_tiles<Q4_1Tile>(args, code_rows(args)); }
void rows(const PanelArgs& args) { for_row_tiles<RowsTile>(args, args.x->rows); }

}  // namespace
}  // namespace folio::kernels
