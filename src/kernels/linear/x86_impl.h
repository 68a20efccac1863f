// The panel kernels in the sixteen-lane vocabulary; included by x86_avx2.cc and x86_avx512.cc after their
// simd header.
#pragma once

#include "kernels/linear/linear_kernels.h"

namespace folio::kernels {
namespace {

// Rows taken together, so that a weight, once loaded and expanded, serves several of them: their sums stay in
// registers. Rows of two planes keep twice the integer sums.
constexpr int kRowTile = kLaneRegisters >= 32 ? 8 : 4;
template <int planes>
constexpr int kCodeRowTile = kRowTile / planes;

// How far ahead of their use weights are asked for: some lines are always under way, also across the borders
// of a page of memory, where the processor's own prefetching stops.
constexpr std::size_t kPrefetchBytes = 3072;

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

template <int R>
inline void store_tile(const PanelArgs& args, std::size_t row, const F32x16 (&sums)[R]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) store_outputs(args, row + static_cast<std::size_t>(r), sums[r]);
}

// Calls Tile<R>::run(args, first_row) over the rows, R = largest while enough are left, then fewer.
template <template <int> typename Tile, int largest>
inline void for_row_tiles(const PanelArgs& args) {
  const std::size_t rows = args.x->rows;
  std::size_t row = 0;
  for (; row + largest <= rows; row += largest) Tile<largest>::run(args, row);
  if constexpr (largest > 4)
    for (; row + 4 <= rows; row += 4) Tile<4>::run(args, row);
  if constexpr (largest > 2)
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

inline F32x16 load_halves(const std::uint8_t* p) {
  return load_f16(reinterpret_cast<const std::uint16_t*>(p));
}

// The activations of the R rows of one tile, P planes each, at one group of 32 columns.
template <int P>
struct GroupRows {
  const std::int8_t* codes;
  const float* scales;
  const std::int32_t* sums;
  std::size_t code_stride, group_stride;

  GroupRows(const PanelArgs& args, std::size_t row)
      : codes(args.x->codes + row * P * args.x->code_stride),
        scales(args.x->scales + row * args.x->group_stride),
        sums(args.x->sums + row * args.x->group_stride),
        code_stride(args.x->code_stride),
        group_stride(args.x->group_stride) {}

  const std::int8_t* code(int r, int plane, std::size_t g) const {
    return codes + static_cast<std::size_t>(r * P + plane) * code_stride + g * 32;
  }
  float scale(int r, std::size_t g) const { return scales[static_cast<std::size_t>(r) * group_stride + g]; }
  std::int32_t sum(int r, std::size_t g) const {
    return sums[static_cast<std::size_t>(r) * group_stride + g];
  }
};

// The integer dots of one group: of each row and plane while they grow, then of each row.
template <int R, int P>
struct Dots {
  I32x16 of[R][P];

  void start() {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) of[r][p] = set1_int(0);
  }
  // The whole dot of row r, less `offset` times the sum of its activations.
  I32x16 row(int r, std::int32_t offset, const GroupRows<P>& x, std::size_t g) const {
    const I32x16 dot = P == 2 ? add_int(times_256(of[r][0]), of[r][P - 1]) : of[r][0];
    return offset == 0 ? dot : add_int(dot, set1_int(-offset * x.sum(r, g)));
  }
};

// sums[r] += (scale * activation scale) * dot, the group's only rounding of what it adds.
template <int R, int P>
inline void add_group(F32x16 (&sums)[R], const Dots<R, P>& dots, std::int32_t offset, F32x16 scale,
                      const GroupRows<P>& x, std::size_t g) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
    sums[r] = fma(mul(scale, set1(x.scale(r, g))), to_float(dots.row(r, offset, x, g)), sums[r]);
}

template <int R, int P>
struct Q8Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t groups = args.columns / 32;
    const GroupRows<P> x(args, row);
    F32x16 sums[R] = {};
    for (std::size_t g = 0; g < groups; ++g) {
      const auto* codes = reinterpret_cast<const std::int8_t*>(Q8Units::codes(args.panel, g));
      Dots<R, P> dots;
      dots.start();
      for (std::size_t quad = 0; quad < 8; ++quad) {
        prefetch(codes + quad * 64 + kPrefetchBytes);
        const SignedCodes w = load_signed(codes + quad * 64);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
          for (int p = 0; p < P; ++p)
            dots.of[r][p] = dot_signed(dots.of[r][p], w, x.code(r, p, g) + quad * 4);
      }
      add_group(sums, dots, kSignedOffset, load_halves(Q8Units::halves(args.panel, g)), x, g);
    }
    store_tile(args, row, sums);
  }
};

// The dots of one group of nibbles (`codes`, columns 32 g and on).
template <int R, int P>
inline void nibble_dots(Dots<R, P>& dots, const std::uint8_t* codes, const GroupRows<P>& x, std::size_t g) {
  dots.start();
  for (std::size_t quad = 0; quad < 4; ++quad) {
    prefetch(codes + quad * 64 + kPrefetchBytes);
    const Bytes64 bytes = load_bytes(codes + quad * 64);
    const Bytes64 low = low_nibbles(bytes), high = high_nibbles(bytes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) {
        dots.of[r][p] = dot_small(dots.of[r][p], low, x.code(r, p, g) + quad * 4);
        dots.of[r][p] = dot_small(dots.of[r][p], high, x.code(r, p, g) + 16 + quad * 4);
      }
  }
}

template <int R, int P>
struct Q4_0Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t groups = args.columns / 32;
    const GroupRows<P> x(args, row);
    F32x16 sums[R] = {};
    for (std::size_t g = 0; g < groups; ++g) {
      Dots<R, P> dots;
      nibble_dots(dots, Q4_0Units::codes(args.panel, g), x, g);
      add_group(sums, dots, 8, load_halves(Q4_0Units::halves(args.panel, g)), x, g);
    }
    store_tile(args, row, sums);
  }
};

template <int R, int P>
struct Q4_1Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t groups = args.columns / 32;
    const GroupRows<P> x(args, row);
    F32x16 sums[R] = {};
    for (std::size_t g = 0; g < groups; ++g) {
      Dots<R, P> dots;
      nibble_dots(dots, Q4_1Units::codes(args.panel, g), x, g);
      const std::uint8_t* halves = Q4_1Units::halves(args.panel, g);
      add_group(sums, dots, 0, load_halves(halves), x, g);
      const F32x16 minimum = load_halves(halves + kPanelOutputs * 2);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        sums[r] = fma(minimum, set1(x.scale(r, g) * static_cast<float>(x.sum(r, g))), sums[r]);
    }
    store_tile(args, row, sums);
  }
};

// A kernel for codes: the tiles of as many planes as the rows have.
template <template <int, int> typename Tile>
struct CodePanel {
  template <int R>
  using One = Tile<R, 1>;
  template <int R>
  using Two = Tile<R, 2>;
  static void run(const PanelArgs& args) {
    if (args.x->planes == 2)
      for_row_tiles<Two, kCodeRowTile<2>>(args);
    else
      for_row_tiles<One, kCodeRowTile<1>>(args);
  }
};

void f32(const PanelArgs& args) { for_row_tiles<F32Tile, kRowTile>(args); }
void f16(const PanelArgs& args) { for_row_tiles<F16Tile, kRowTile>(args); }
void bf16(const PanelArgs& args) { for_row_tiles<Bf16Tile, kRowTile>(args); }
void q8_0(const PanelArgs& args) { CodePanel<Q8Tile>::run(args); }
void q4_0(const PanelArgs& args) { CodePanel<Q4_0Tile>::run(args); }
void q4_1(const PanelArgs& args) { CodePanel<Q4_1Tile>::run(args); }
void rows(const PanelArgs& args) { for_row_tiles<RowsTile, kRowTile>(args); }

}  // namespace
}  // namespace folio::kernels
