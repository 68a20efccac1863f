// The quantised panel kernels in the sixteen-lane vocabulary: one tile over a kind of codes and a kind of
// scales. Included after a simd header.
#pragma once

#include "kernels/linear/linear_kernels.h"
#include "kernels/linear/panel_units.h"
#include "kernels/linear/x86_row_tiles.h"

namespace folio::kernels {
namespace {

inline F32x16 load_halves(const std::uint8_t* p) {
  return load_f16(reinterpret_cast<const std::uint16_t*>(p));
}

// The activations of the rows of one tile, by groups of `columns`.
template <std::size_t columns>
struct GroupRows {
  const std::int8_t* codes;
  const float* scales;
  const std::int32_t* sums;
  const std::uint8_t* wide;
  std::size_t code_stride, group_stride;
  static constexpr std::size_t kParts = 32 / columns;  // groups that share a scale of the activations

  GroupRows(const PanelArgs& args, std::size_t row)
      : codes(args.x->codes + row * kCodePlanes * args.x->code_stride),
        scales(args.x->scales + row * args.x->group_stride),
        sums((kParts == 1 ? args.x->sums : args.x->half_sums) + row * args.x->group_stride * kParts),
        wide(args.x->wide + row * args.x->group_stride),
        code_stride(args.x->code_stride),
        group_stride(args.x->group_stride) {}

  const std::int8_t* code(int r, int plane, std::size_t g) const {
    return codes +
           (static_cast<std::size_t>(r) * kCodePlanes + static_cast<std::size_t>(plane)) * code_stride +
           g * columns;
  }
  float scale(int r, std::size_t g) const {
    return scales[static_cast<std::size_t>(r) * group_stride + g / kParts];
  }
  std::int32_t sum(int r, std::size_t g) const {
    return sums[static_cast<std::size_t>(r) * group_stride * kParts + g];
  }
  // Whether row r, or one of the rows [0, count), needs its second plane.
  bool is_wide(int r, std::size_t g) const {
    return wide[static_cast<std::size_t>(r) * group_stride + g / kParts] != 0;
  }
  bool any_wide(std::size_t count, std::size_t g) const {
    bool any = false;
    for (std::size_t r = 0; r < count; ++r) any |= is_wide(static_cast<int>(r), g);
    return any;
  }
};

// The integer dots of one group with R rows, one plane after the other.
template <int R>
struct Dots {
  I32x16 of[R];

  void start() {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) of[r] = set1_int(0);
  }
  // Between the planes.
  void raise() {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) of[r] = times_256(of[r]);
  }
  // Adds the dots of a quad of codes with the activations of columns [at, at + 4) of group g.
  template <typename Codes, int plane, typename Quad, typename Rows>
  void add(Quad w, const Rows& x, std::size_t g, std::size_t at) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) add_to<Codes, plane>(r, w, x, g, at);
  }
  // The same for one row.
  template <typename Codes, int plane, typename Quad, typename Rows>
  [[gnu::always_inline]] void add_to(int r, Quad w, const Rows& x, std::size_t g, std::size_t at) {
    const std::int8_t* activations = x.code(r, plane, g) + at;
    if constexpr (Codes::kSigned)
      of[r] = dot_signed(of[r], w, activations);
    else
      of[r] = dot_small(of[r], w, activations);
  }
};

// A dot less what the codes' offset, zero or a power of two, adds to it.
template <std::int32_t offset>
inline I32x16 without_offset(I32x16 dot, std::int32_t sum) {
  if constexpr (offset == 0)
    return dot;
  else
    return less<__builtin_ctz(offset)>(dot, sum);
}

// ---- codes: each kind's for_quads() calls visit(index of the quad, its codes) for the quads of one group,
// whose codes begin at `codes`, in any order. kOffset is to be taken off each code.

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
  static constexpr bool kSigned = true;
  static constexpr std::int32_t kOffset = kSignedOffset;
  template <typename Visit>
  [[gnu::always_inline]] static void for_quads(const std::uint8_t* codes, Visit visit) {
    for (std::size_t quad = 0; quad < 8; ++quad)
      visit(quad, load_signed(reinterpret_cast<const std::int8_t*>(codes) + quad * 64));
  }
};

// Nibbles, less `offset`.
template <std::size_t columns, int offset>
struct Nibbles {
  static constexpr bool kSigned = false;
  static constexpr std::int32_t kOffset = offset;
  template <typename Visit>
  [[gnu::always_inline]] static void for_quads(const std::uint8_t* codes, Visit visit) {
    constexpr std::size_t lines = columns / 8;
    for (std::size_t line = 0; line < lines; ++line) {
      const Bytes64 bytes = load_bytes(codes + line * 64);
      visit(line, low_nibbles(bytes));
      visit(lines + line, high_nibbles(bytes));
    }
  }
};

// Nibbles with `high_bits` more from the line behind them, less `offset`.
template <std::size_t columns, int high_bits, int offset>
struct WideNibbles {
  static constexpr bool kSigned = false;
  static constexpr std::int32_t kOffset = offset;
  template <typename Visit>
  [[gnu::always_inline]] static void for_quads(const std::uint8_t* codes, Visit visit) {
    constexpr int lines = columns / 8, mask = ((1 << high_bits) - 1) << 4;
    const Bytes64 rest = load_bytes(codes + lines * 64);
    repeat<0, lines>([&](auto index) __attribute__((always_inline)) {
      constexpr int line = decltype(index)::value;
      const Bytes64 bytes = load_bytes(codes + line * 64);
      visit(std::size_t{line}, with_bits<4 - line * high_bits, mask>(low_nibbles(bytes), rest));
      visit(std::size_t{lines + line},
            with_bits<4 - (lines + line) * high_bits, mask>(high_nibbles(bytes), rest));
    });
  }
};

// Nibbles that pick signed codes from a table.
template <const signed char (&table)[16]>
struct TableNibbles {
  static constexpr bool kSigned = true;
  static constexpr std::int32_t kOffset = kSignedOffset;
  template <typename Visit>
  [[gnu::always_inline]] static void for_quads(const std::uint8_t* codes, Visit visit) {
    const CodeTable values = load_table(table);
    for (std::size_t line = 0; line < 4; ++line) {
      const Bytes64 bytes = load_bytes(codes + line * 64);
      visit(line, look_up(values, low_nibbles(bytes)));
      visit(line + 4, look_up(values, high_nibbles(bytes)));
    }
  }
};

// Pairs, or with `third_bit` three bits each, less `offset`.
template <bool third_bit, int offset>
struct Pairs {
  static constexpr bool kSigned = false;
  static constexpr std::int32_t kOffset = offset;
  template <typename Visit>
  [[gnu::always_inline]] static void for_quads(const std::uint8_t* codes, Visit visit) {
    const Bytes64 pairs = load_bytes(codes);
    [[maybe_unused]] Bytes64 rest;
    if constexpr (third_bit) rest = load_nibbles(codes + 64);
    repeat<0, 4>([&](auto index) __attribute__((always_inline)) {
      constexpr int quad = decltype(index)::value;
      Bytes64 w = bits<-2 * quad, 3>(pairs);
      if constexpr (third_bit) w = with_bits<2 - quad, 4>(w, rest);
      visit(std::size_t{quad}, w);
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

// Rows taken together, of which each may need its second plane by itself: with fewer the first level of the
// cache holds their activations beside the panel, and what waits for a mispredicted branch is less.
constexpr int kCodeRows = 4;

// A quantised format: its units, the kind of its codes and of its scales.
template <const UnitLayout& layout, typename CodesType, typename ScalesType>
struct Quantized {
  static constexpr const UnitLayout& units = layout;
  using Codes = CodesType;
  using Scales = ScalesType;

  template <int R>
  struct Tile {
    static void run(const PanelArgs& args, std::size_t row) {
      const std::size_t groups = args.columns / units.columns;
      const GroupRows<units.columns> x(args, row);
      F32x16 sums[R] = {};
      const std::uint8_t* unit = args.panel;
      for (std::size_t first = 0; first < groups; first += units.groups, unit += units.unit_bytes()) {
        ask_ahead<R, kAskingCodes, units.header_bytes()>(unit);
        const Scales scales{unit};
        for (std::size_t i = 0; i < units.groups && first + i < groups; ++i) {
          const std::size_t g = first + i;
          const std::uint8_t* codes = unit + units.codes_at(i);
          ask_ahead<R, kAskingCodes, units.code_bytes>(codes);
          Dots<R> dots;
          dots.start();
          Codes::for_quads(codes, [&](std::size_t quad, auto w) __attribute__((always_inline)) {
            dots.template add<Codes, 0>(w, x, g, quad * 4);
          });
          dots.raise();
          // A plane of zeros adds nothing: rows that do not need theirs are left out one by one.
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r)
            if (x.is_wide(r, g))
              Codes::for_quads(codes, [&](std::size_t quad, auto w) __attribute__((always_inline)) {
                dots.template add_to<Codes, 1>(r, w, x, g, quad * 4);
              });
          const auto w = scales.of(i);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r)
            sums[r] = with_group(sums[r], without_offset<Codes::kOffset>(dots.of[r], x.sum(r, g)), w,
                                 x.scale(r, g), x.sum(r, g));
        }
      }
      store_tile(args, row, sums);
    }
  };

  static void run(const PanelArgs& args) { for_row_tiles<Tile, kCodeRows>(args); }
};

using Q8_0 = Quantized<kQ8_0Units, Bytes, OwnScale<kQ8_0Units>>;
using Q4_0 = Quantized<kQ4_0Units, Nibbles<32, 8>, OwnScale<kQ4_0Units>>;
using Q4_1 = Quantized<kQ4_1Units, Nibbles<32, 0>, OwnScaleAndMinimum<kQ4_1Units>>;
using Q5_0 = Quantized<kQ5_0Units, WideNibbles<32, 1, 16>, OwnScale<kQ5_0Units>>;
using Q5_1 = Quantized<kQ5_1Units, WideNibbles<32, 1, 0>, OwnScaleAndMinimum<kQ5_1Units>>;
using Q2_K = Quantized<kQ2_KUnits, Pairs<false, 0>, NibbleScaleAndMinimum<kQ2_KUnits>>;
using Q3_K = Quantized<kQ3_KUnits, Pairs<true, 4>, SignedByteScale<kQ3_KUnits>>;
using Q4_K = Quantized<kQ4_KUnits, Nibbles<32, 0>, ByteScaleAndMinimum<kQ4_KUnits>>;
using Q5_K = Quantized<kQ5_KUnits, WideNibbles<32, 1, 0>, ByteScaleAndMinimum<kQ5_KUnits>>;
using Q6_K = Quantized<kQ6_KUnits, WideNibbles<16, 2, 32>, SignedByteScale<kQ6_KUnits>>;
using IQ4_NL = Quantized<kQ4_0Units, TableNibbles<kBell>, OwnScale<kQ4_0Units>>;
using IQ4_XS = Quantized<kIQ4_XSUnits, TableNibbles<kBell>, SignedByteScale<kIQ4_XSUnits>>;
using MXFP4 = Quantized<kQ4_0Units, TableNibbles<kE2M1>, OwnBfloatScale<kQ4_0Units>>;

}  // namespace
}  // namespace folio::kernels
