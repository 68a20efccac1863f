// The panel kernels in the sixteen-lane vocabulary; included by x86_avx2.cc and x86_avx512.cc after their
// simd header.
#pragma once

#include "kernels/linear/linear_kernels.h"
#include "kernels/linear/panel_units.h"

namespace folio::kernels {
namespace {

// Rows taken together, so that a weight, once loaded and expanded, serves several of them: their sums stay in
// registers. Rows of two planes keep twice the integer sums.
constexpr int kRowTile = kLaneRegisters >= 32 ? 8 : 4;
template <int planes>
constexpr int kCodeRowTile = kRowTile / planes;

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

// The activations of the rows of one tile, P planes each, by groups of `columns`.
template <std::size_t columns, int P>
struct GroupRows {
  const std::int8_t* codes;
  const float* scales;
  const std::int32_t* sums;
  std::size_t code_stride, group_stride;
  static constexpr std::size_t kParts = 32 / columns;  // groups that share a scale of the activations

  GroupRows(const PanelArgs& args, std::size_t row)
      : codes(args.x->codes + row * P * args.x->code_stride),
        scales(args.x->scales + row * args.x->group_stride),
        sums((kParts == 1 ? args.x->sums : args.x->half_sums) + row * args.x->group_stride * kParts),
        code_stride(args.x->code_stride),
        group_stride(args.x->group_stride) {}

  const std::int8_t* code(int r, int plane, std::size_t g) const {
    return codes + static_cast<std::size_t>(r * P + plane) * code_stride + g * columns;
  }
  float scale(int r, std::size_t g) const {
    return scales[static_cast<std::size_t>(r) * group_stride + g / kParts];
  }
  std::int32_t sum(int r, std::size_t g) const {
    return sums[static_cast<std::size_t>(r) * group_stride * kParts + g];
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
  // Adds the dots of a quad of codes 0..127, or of signed ones, with the activations of columns [at, at + 4).
  template <std::size_t columns>
  void add(Bytes64 w, const GroupRows<columns, P>& x, std::size_t g, std::size_t at) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) of[r][p] = dot_small(of[r][p], w, x.code(r, p, g) + at);
  }
  template <std::size_t columns>
  void add_signed(SignedCodes w, const GroupRows<columns, P>& x, std::size_t g, std::size_t at) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int p = 0; p < P; ++p) of[r][p] = dot_signed(of[r][p], w, x.code(r, p, g) + at);
  }
  // The whole dot of row r, less `offset` times `sum`, that of its activations.
  I32x16 row(int r, std::int32_t offset, std::int32_t sum) const {
    const I32x16 dot = P == 2 ? add_int(times_256(of[r][0]), of[r][P - 1]) : of[r][0];
    return offset == 0 ? dot : add_int(dot, set1_int(-offset * sum));
  }
};

// ---- codes: each kind's add() adds the dots of one group, whose codes begin at `codes`; kOffset times the
// sum of the activations is to be taken off them

template <int n>
struct Index {
  static constexpr int value = n;
};
template <int first, int end, typename Step>
[[gnu::always_inline]] inline void repeat(Step step) {
  if constexpr (first < end) {
    step(Index<first>{});
    repeat<first + 1, end>(step);
  }
}

struct Bytes {
  static constexpr std::int32_t kOffset = kSignedOffset;
  template <int R, int P>
  static void add(Dots<R, P>& dots, const std::uint8_t* codes, const GroupRows<32, P>& x, std::size_t g) {
    for (std::size_t quad = 0; quad < 8; ++quad) {
      prefetch(codes + quad * 64 + kPrefetchBytes);
      dots.add_signed(load_signed(reinterpret_cast<const std::int8_t*>(codes) + quad * 64), x, g, quad * 4);
    }
  }
};

// Nibbles with `high_bits` more from the line behind them, less `offset`.
template <std::size_t columns, int high_bits, int offset>
struct Nibbles {
  static constexpr std::int32_t kOffset = offset;
  template <int R, int P>
  static void add(Dots<R, P>& dots, const std::uint8_t* codes, const GroupRows<columns, P>& x,
                  std::size_t g) {
    constexpr int lines = columns / 8, mask = ((1 << high_bits) - 1) << 4;
    Bytes64 rest;
    if constexpr (high_bits > 0) {
      rest = load_bytes(codes + lines * 64);
      prefetch(codes + lines * 64 + kPrefetchBytes);
    }
    repeat<0, lines>([&](auto index) __attribute__((always_inline)) {
      constexpr int line = decltype(index)::value;
      prefetch(codes + line * 64 + kPrefetchBytes);
      const Bytes64 bytes = load_bytes(codes + line * 64);
      Bytes64 low = low_nibbles(bytes), high = high_nibbles(bytes);
      if constexpr (high_bits > 0) {
        low = with_bits<4 - line * high_bits, mask>(low, rest);
        high = with_bits<4 - (lines + line) * high_bits, mask>(high, rest);
      }
      dots.add(low, x, g, line * 4);
      dots.add(high, x, g, columns / 2 + line * 4);
    });
  }
};

// Nibbles that pick signed codes from a table.
template <const signed char (&table)[16]>
struct TableNibbles {
  static constexpr std::int32_t kOffset = kSignedOffset;
  template <int R, int P>
  static void add(Dots<R, P>& dots, const std::uint8_t* codes, const GroupRows<32, P>& x, std::size_t g) {
    const CodeTable values = load_table(table);
    for (std::size_t line = 0; line < 4; ++line) {
      prefetch(codes + line * 64 + kPrefetchBytes);
      const Bytes64 bytes = load_bytes(codes + line * 64);
      dots.add_signed(look_up(values, low_nibbles(bytes)), x, g, line * 4);
      dots.add_signed(look_up(values, high_nibbles(bytes)), x, g, 16 + line * 4);
    }
  }
};

// Pairs, or with `third_bit` three bits each, less `offset`.
template <bool third_bit, int offset>
struct Pairs {
  static constexpr std::int32_t kOffset = offset;
  template <int R, int P>
  static void add(Dots<R, P>& dots, const std::uint8_t* codes, const GroupRows<16, P>& x, std::size_t g) {
    prefetch(codes + kPrefetchBytes);
    const Bytes64 pairs = load_bytes(codes);
    Bytes64 rest;
    if constexpr (third_bit) rest = load_nibbles(codes + 64);
    repeat<0, 4>([&](auto index) __attribute__((always_inline)) {
      constexpr int quad = decltype(index)::value;
      Bytes64 w = bits<-2 * quad, 3>(pairs);
      if constexpr (third_bit) w = with_bits<2 - quad, 4>(w, rest);
      dots.add(w, x, g, quad * 4);
    });
  }
};

// ---- scales and minima: built for a unit, of() gives those of its group i

struct ScaleOnly {
  F32x16 scale;
};
struct ScaleAndMinimum {
  F32x16 scale, added;  // minus the minimum
};

template <const UnitLayout& units>
struct OwnScale {
  const std::uint8_t* unit;
  ScaleOnly of(std::size_t i) const { return {load_halves(unit + units.halves_at(i))}; }
};

template <const UnitLayout& units>
struct OwnBfloatScale {
  const std::uint8_t* unit;
  ScaleOnly of(std::size_t i) const {
    return {load_bf16(reinterpret_cast<const std::uint16_t*>(unit + units.halves_at(i)))};
  }
};

template <const UnitLayout& units>
struct OwnScaleAndMinimum {
  const std::uint8_t* unit;
  ScaleAndMinimum of(std::size_t i) const {
    return {load_halves(unit + units.halves_at(i, 0)), load_halves(unit + units.halves_at(i, 1))};
  }
};

template <const UnitLayout& units>
struct SignedByteScale {
  explicit SignedByteScale(const std::uint8_t* at) : unit(at), d(load_halves(at)) {}
  ScaleOnly of(std::size_t i) const {
    return {mul(d, load_int8(reinterpret_cast<const std::int8_t*>(unit + units.bytes_at(i))))};
  }
  const std::uint8_t* unit;
  F32x16 d;
};

// What Q2_K, Q4_K and Q5_K share: d and, negated, dmin.
template <const UnitLayout& units>
struct TwoFactors {
  explicit TwoFactors(const std::uint8_t* at)
      : unit(at), d(load_halves(at)), minus_dmin(sub(set1(-0.0f), load_halves(at + units.halves_at(0, 1)))) {}
  const std::uint8_t* unit;
  F32x16 d, minus_dmin;
};

template <const UnitLayout& units>
struct ByteScaleAndMinimum : TwoFactors<units> {
  using TwoFactors<units>::TwoFactors;
  ScaleAndMinimum of(std::size_t i) const {
    return {mul(this->d, load_uint8(this->unit + units.bytes_at(i, 0))),
            mul(this->minus_dmin, load_uint8(this->unit + units.bytes_at(i, 1)))};
  }
};

template <const UnitLayout& units>
struct NibbleScaleAndMinimum : TwoFactors<units> {
  using TwoFactors<units>::TwoFactors;
  ScaleAndMinimum of(std::size_t i) const {
    F32x16 scale, minimum;
    load_nibble_pairs(this->unit + units.bytes_at(i), scale, minimum);
    return {mul(this->d, scale), mul(this->minus_dmin, minimum)};
  }
};

// ---- tiles

// What the group adds to the sum of row r: its dot, then its minimum.
inline F32x16 with_group(F32x16 sum, I32x16 dot, const ScaleOnly& w, float sx, std::int32_t) {
  return fma(mul(w.scale, set1(sx)), to_float(dot), sum);
}
inline F32x16 with_group(F32x16 sum, I32x16 dot, const ScaleAndMinimum& w, float sx, std::int32_t code_sum) {
  sum = fma(mul(w.scale, set1(sx)), to_float(dot), sum);
  return fma(w.added, set1(sx * static_cast<float>(code_sum)), sum);
}

// A quantised format: its units, the kind of its codes and of its scales.
template <const UnitLayout& units, typename Codes, typename Scales>
struct Quantized {
  template <int R, int P>
  struct Tile {
    static void run(const PanelArgs& args, std::size_t row) {
      const std::size_t groups = args.columns / units.columns;
      const GroupRows<units.columns, P> x(args, row);
      F32x16 sums[R] = {};
      const std::uint8_t* unit = args.panel;
      for (std::size_t first = 0; first < groups; first += units.groups, unit += units.unit_bytes()) {
        for (std::size_t at = 0; at < units.header_bytes(); at += 64) prefetch(unit + at + kPrefetchBytes);
        const Scales scales{unit};
        for (std::size_t i = 0; i < units.groups && first + i < groups; ++i) {
          const std::size_t g = first + i;
          Dots<R, P> dots;
          dots.start();
          Codes::add(dots, unit + units.codes_at(i), x, g);
          const auto w = scales.of(i);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r)
            sums[r] =
                with_group(sums[r], dots.row(r, Codes::kOffset, x.sum(r, g)), w, x.scale(r, g), x.sum(r, g));
        }
      }
      store_tile(args, row, sums);
    }
  };
  template <int R>
  using OnePlane = Tile<R, 1>;
  template <int R>
  using TwoPlanes = Tile<R, 2>;

  static void run(const PanelArgs& args) {
    if (args.x->planes == 2)
      for_row_tiles<TwoPlanes, kCodeRowTile<2>>(args);
    else
      for_row_tiles<OnePlane, kCodeRowTile<1>>(args);
  }
};

void f32(const PanelArgs& args) { for_row_tiles<F32Tile, kRowTile>(args); }
void f16(const PanelArgs& args) { for_row_tiles<F16Tile, kRowTile>(args); }
void bf16(const PanelArgs& args) { for_row_tiles<Bf16Tile, kRowTile>(args); }
void rows(const PanelArgs& args) { for_row_tiles<RowsTile, kRowTile>(args); }

constexpr PanelKernel q8_0 = Quantized<kQ8_0Units, Bytes, OwnScale<kQ8_0Units>>::run;
constexpr PanelKernel q4_0 = Quantized<kQ4_0Units, Nibbles<32, 0, 8>, OwnScale<kQ4_0Units>>::run;
constexpr PanelKernel q4_1 = Quantized<kQ4_1Units, Nibbles<32, 0, 0>, OwnScaleAndMinimum<kQ4_1Units>>::run;
constexpr PanelKernel q5_0 = Quantized<kQ5_0Units, Nibbles<32, 1, 16>, OwnScale<kQ5_0Units>>::run;
constexpr PanelKernel q5_1 = Quantized<kQ5_1Units, Nibbles<32, 1, 0>, OwnScaleAndMinimum<kQ5_1Units>>::run;
constexpr PanelKernel q4_k = Quantized<kQ4_KUnits, Nibbles<32, 0, 0>, ByteScaleAndMinimum<kQ4_KUnits>>::run;
constexpr PanelKernel q5_k = Quantized<kQ5_KUnits, Nibbles<32, 1, 0>, ByteScaleAndMinimum<kQ5_KUnits>>::run;
constexpr PanelKernel q6_k = Quantized<kQ6_KUnits, Nibbles<16, 2, 32>, SignedByteScale<kQ6_KUnits>>::run;
constexpr PanelKernel q2_k = Quantized<kQ2_KUnits, Pairs<false, 0>, NibbleScaleAndMinimum<kQ2_KUnits>>::run;
constexpr PanelKernel q3_k = Quantized<kQ3_KUnits, Pairs<true, 4>, SignedByteScale<kQ3_KUnits>>::run;
constexpr PanelKernel iq4_nl = Quantized<kQ4_0Units, TableNibbles<kBell>, OwnScale<kQ4_0Units>>::run;
constexpr PanelKernel iq4_xs =
    Quantized<kIQ4_XSUnits, TableNibbles<kBell>, SignedByteScale<kIQ4_XSUnits>>::run;
constexpr PanelKernel mxfp4 = Quantized<kQ4_0Units, TableNibbles<kE2M1>, OwnBfloatScale<kQ4_0Units>>::run;

}  // namespace
}  // namespace folio::kernels
