// Weights and activations of bfloat16 where AVX-512 has the instruction for them.
#if defined(__x86_64__)
#include "kernels/simd/avx512.h"
//
#include "kernels/linear/x86_row_tiles.h"

namespace folio::kernels {
namespace {

using WordOfPair [[gnu::may_alias]] = std::uint32_t;

// sum[o] += the two products of pair o of w with the pair at `x`, the odd one first. As assembly for the
// broadcast operand, which GCC 12 does not form.
[[gnu::always_inline]] inline void add_pairs(F32x16& sum, __m512i w, const std::uint16_t* x) {
  asm("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(sum.v) : "v"(w), "m"(*reinterpret_cast<const WordOfPair*>(x)));
}

template <int R>
struct Tile {
  static void run(const PanelArgs& args, std::size_t row) {
    const std::size_t stride = args.x->bfloat_stride;
    const std::uint16_t* x = args.x->bfloats + row * stride;
    F32x16 sums[R] = {};
    for (std::size_t k = 0; k < args.columns; k += 2) {
      const std::uint8_t* pairs = args.panel + k * kPanelOutputs * 2;
      ask_ahead<R, kAskingFloats, 64>(pairs);
      const __m512i w = _mm512_loadu_si512(pairs);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) add_pairs(sums[r], w, x + static_cast<std::size_t>(r) * stride + k);
    }
    store_tile(args, row, sums);
  }
};

void bf16_dots(const PanelArgs& args) { for_row_tiles<Tile, kRowTile>(args); }

}  // namespace

constinit const PanelKernel kBf16DotsAvx512Bf16 = bf16_dots;

}  // namespace folio::kernels
#endif
