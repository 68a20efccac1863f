// How the panel kernels go over rows and write outputs, in the sixteen-lane vocabulary; included after a simd
// header.
#pragma once

#include "kernels/linear/linear_kernels.h"

namespace folio::kernels {
namespace {

// Rows taken together, so that a weight, once loaded and expanded, serves several of them: their sums stay in
// registers.
constexpr int kRowTile = kLaneRegisters >= 32 ? 8 : 4;

// How far ahead of their use tiles of several rows ask for weights, and from how many rows on. The
// activations of a tile, a load for each dot, fill the processor's queue of loads: it sees too little of the
// weights to come, and its own prefetching follows what it sees. Few rows leave it room; there it keeps up
// with memory by itself and asking takes from it. Floats need more rows for that: a line of them is one dot
// of a row, a line of codes one or two and the scales beside them.
constexpr int kAskingCodes = 4, kAskingFloats = kRowTile;
constexpr std::size_t kAheadBytes = std::size_t{16} << 10;

// In a tile of R rows: asks for the `bytes` of weights kAheadBytes behind those at `weights`, if R is enough.
template <int R, int kAsking, std::size_t bytes>
[[gnu::always_inline]] inline void ask_ahead(const void* weights) {
  if constexpr (R >= kAsking)
    for (std::size_t at = 0; at < bytes; at += 64)
      prefetch(static_cast<const std::uint8_t*>(weights) + at + kAheadBytes);
}

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

}  // namespace
}  // namespace folio::kernels
