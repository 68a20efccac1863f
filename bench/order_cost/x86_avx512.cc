#include "kernels/simd/avx512.h"

#include "free_order.h"
#include "kernels/linear/x86_quantized.h"

namespace folio::order_cost {
namespace {

using namespace kernels;
using Format = Q4_0;
constexpr const UnitLayout& kUnits = Format::units;

// The dots of a group with R rows in D chains, so that fewer dots wait for the one before.
template <int R, int D>
struct FreeDots {
  I32x16 of[D][R];

  // Adds the dots of the rows [first, end).
  template <int plane, typename Rows>
  [[gnu::always_inline]] void add(const std::uint8_t* codes, const Rows& x, std::size_t g, int first,
                                  int end) {
    Format::Codes::for_quads(codes, [&](std::size_t quad, auto w) __attribute__((always_inline)) {
#pragma GCC unroll 16
      for (int r = first; r < end; ++r) {
        I32x16& chain = of[D == 1 ? 0 : quad / 4][r];
        chain = dot_small(chain, w, x.code(r, plane, g) + quad * 4);
      }
    });
  }
  [[gnu::always_inline]] void set_zero() {
#pragma GCC unroll 2
    for (int d = 0; d < D; ++d)
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) of[d][r] = set1_int(0);
  }
  [[gnu::always_inline]] void raise() {
#pragma GCC unroll 2
    for (int d = 0; d < D; ++d)
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) of[d][r] = times_256(of[d][r]);
  }
  [[gnu::always_inline]] I32x16 total(int r) const {
    return D == 1 ? of[0][r] : add_int(of[0][r], of[D - 1][r]);
  }
};

// Sums in C chains: group g adds to chain g % C.
template <int R, int C, int D>
struct FreeTile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t groups = args.columns / kUnits.columns;
    const GroupRows<kUnits.columns> x(args, row);
    F32x16 sums[C][R] = {};
    const std::uint8_t* unit = args.panel;
    for (std::size_t first = 0; first < groups; first += kUnits.groups, unit += kUnits.unit_bytes()) {
      ask_ahead<R, kAskingCodes, kUnits.header_bytes()>(unit);
      const Format::Scales scales{unit};
#pragma GCC unroll 2
      for (std::size_t i = 0; i < kUnits.groups; ++i) {
        if (first + i >= groups) break;
        const std::size_t g = first + i;
        FreeDots<R, D> dots;
        dots.set_zero();
        const std::uint8_t* codes = unit + kUnits.codes_at(i);
        ask_ahead<R, kAskingCodes, kUnits.code_bytes>(codes);
        dots.template add<0>(codes, x, g, 0, R);
        dots.raise();
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
          if (x.is_wide(r, g)) dots.template add<1>(codes, x, g, r, r + 1);
        const auto w = scales.of(i);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
          F32x16& sum = sums[i % C][r];
          sum = with_group(sum, without_offset<Format::Codes::kOffset>(dots.total(r), x.sum(r, g)), w,
                           x.scale(r, g), x.sum(r, g));
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      F32x16 sum = sums[0][r];
      if constexpr (C == 2) sum = add(sum, sums[C - 1][r]);
      store_outputs(args, row + static_cast<std::size_t>(r), sum);
    }
  }
};

// R rows at a time, the rest by fewer.
template <int R, int C, int D>
void run(const PanelArgs& args) {
  std::size_t row = 0;
  for (; row + R <= args.x->rows; row += R) FreeTile<R, C, D>::run(args, row);
  for (; row + 4 <= args.x->rows; row += 4) FreeTile<4, C, D>::run(args, row);
  for (; row < args.x->rows; ++row) FreeTile<1, C, D>::run(args, row);
}

constexpr Variant kVariants[] = {
    {"1 row, 1 sum, 2 dots", run<1, 1, 2>},   {"1 row, 2 sums, 1 dot", run<1, 2, 1>},
    {"1 row, 2 sums, 2 dots", run<1, 2, 2>},  {"8 rows, 1 sum, 1 dot", run<8, 1, 1>},
    {"4 rows, 1 sum, 2 dots", run<4, 1, 2>},  {"4 rows, 2 sums, 1 dot", run<4, 2, 1>},
    {"8 rows, 2 sums, 1 dot", run<8, 2, 1>},  {"8 rows, 1 sum, 2 dots", run<8, 1, 2>},
    {"12 rows, 1 sum, 1 dot", run<12, 1, 1>},
};

}  // namespace

std::span<const Variant> free_order_variants() { return kVariants; }

}  // namespace folio::order_cost
