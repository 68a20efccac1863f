// The kernels for codes and many rows on AMX. Their bits are those of reference.cc like everybody's, so that
// few rows may go to the AVX-512 kernels of the same matrix.
#if defined(__x86_64__)
#include "kernels/simd/avx512.h"
//
#include "kernels/linear/amx_tiles.h"
#include "kernels/linear/x86_impl.h"

namespace folio::kernels {
namespace {

// Below this many rows the tiles would be mostly empty and the AVX-512 kernels are taken.
constexpr std::size_t kFewestRows = 8;
constexpr std::size_t kTileRows = 16;

// The codes of a group as signed bytes [quads][16 outputs][4], the layout of the second operand of TDPBSSD;
// `buffer` has 512 bytes.
template <typename Codes>
inline const void* signed_codes(const std::uint8_t* codes, std::uint8_t* buffer) {
  const __m512i offset = _mm512_set1_epi8(static_cast<char>(Codes::kOffset));
  Codes::for_quads(codes, [&](std::size_t quad, Bytes64 w) __attribute__((always_inline)) {
    _mm512_store_si512(buffer + quad * 64, _mm512_sub_epi8(w.v, offset));
  });
  return buffer;
}
template <>
inline const void* signed_codes<Bytes>(const std::uint8_t* codes, std::uint8_t*) {
  return codes;
}

// One group's dots of the rows of one tile, of each plane. The low one's are there if a row is wide, and mean
// nothing for the rows that are not.
struct alignas(64) GroupDots {
  std::int32_t of[2][kTileRows][kPanelOutputs];
  bool wide;
};

// Tiles 0 and 1 sum the high and the low plane, 2 and 3 hold their activations, 4 the weights.
TileShapes shapes_for(std::size_t rows, std::size_t columns) {
  TileShapes shapes;
  shapes.set(0, rows, kPanelOutputs * 4);
  shapes.set(1, rows, kPanelOutputs * 4);
  shapes.set(2, rows, columns);
  shapes.set(3, rows, columns);
  shapes.set(4, columns / 4, kPanelOutputs * 4);
  return shapes;
}

template <typename Format>
using RowsOf = GroupRows<Format::units.columns>;

template <typename Format, typename Tiles>
inline void tile_dots(Tiles& tiles, const PanelArgs& args, const RowsOf<Format>& x, std::size_t g,
                      std::size_t rows, GroupDots& dots) {
  alignas(64) std::uint8_t buffer[512];
  const std::size_t stride = args.x->code_stride * kCodePlanes;
  const std::uint8_t* codes = args.panel + Format::units.codes_at(g);
  tiles.template load<4>(signed_codes<typename Format::Codes>(codes, buffer), 64);
  tiles.template zero<0>();
  tiles.template load<2>(x.code(0, 0, g), stride);
  tiles.template dot<0, 2, 4>();
  dots.wide = x.any_wide(rows, g);
  if (dots.wide) {
    tiles.template zero<1>();
    tiles.template load<3>(x.code(0, 1, g), stride);
    tiles.template dot<1, 3, 4>();
    tiles.template store<1>(dots.of[1], kPanelOutputs * 4);
  }
  tiles.template store<0>(dots.of[0], kPanelOutputs * 4);
}

// The same float operations in the same order as the tiles of x86_impl.h.
template <typename Format>
inline void add_dots(const PanelArgs& args, const RowsOf<Format>& x, std::size_t g, std::size_t rows,
                     const GroupDots& dots, float (&sums)[kTileRows][kPanelOutputs]) {
  const typename Format::Scales scales{args.panel + Format::units.unit_at(g)};
  const auto w = scales.of(g % Format::units.groups);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto row = static_cast<int>(r);
    I32x16 dot = times_256({_mm512_load_si512(dots.of[0][r])});
    if (dots.wide && x.is_wide(row, g)) dot = add_int(dot, {_mm512_load_si512(dots.of[1][r])});
    store(sums[r], with_group(load(sums[r]), dot, w, x.scale(row, g), x.sum(row, g)));
  }
}

// Rows [first, first + rows), at most sixteen. The vector part of a group runs beside the tiles' next group.
template <typename Format, typename Tiles>
void run_tile(const PanelArgs& args, std::size_t first, std::size_t rows) {
  const std::size_t groups = args.columns / Format::units.columns;
  const RowsOf<Format> x(args, first);
  const TileShapes shapes = shapes_for(rows, Format::units.columns);
  Tiles tiles(shapes);
  alignas(64) float sums[kTileRows][kPanelOutputs] = {};
  GroupDots dots[2];
  for (std::size_t g = 0; g < groups; ++g) {
    tile_dots<Format>(tiles, args, x, g, rows, dots[g % 2]);
    if (g > 0) add_dots<Format>(args, x, g - 1, rows, dots[(g - 1) % 2], sums);
  }
  if (groups > 0) add_dots<Format>(args, x, groups - 1, rows, dots[(groups - 1) % 2], sums);
  for (std::size_t r = 0; r < rows; ++r) store_outputs(args, first + r, load(sums[r]));
}

template <typename Format, typename Tiles>
void panel(const PanelArgs& args) {
  if (args.x->rows < kFewestRows) return Format::run(args);
  for (std::size_t row = 0; row < args.x->rows; row += kTileRows) {
    const std::size_t rows = args.x->rows - row < kTileRows ? args.x->rows - row : kTileRows;
    run_tile<Format, Tiles>(args, row, rows);
  }
}

// The AVX-512 kernels, with those for codes replaced.
template <typename Tiles>
constexpr LinearKernels with_tiles() {
  LinearKernels kernels = {
#define LINEAR_KERNEL(field, Format) .field = field,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
  };
  kernels.q8_0 = panel<Q8_0, Tiles>;
  kernels.q4_0 = panel<Q4_0, Tiles>;
  kernels.q4_1 = panel<Q4_1, Tiles>;
  kernels.q5_0 = panel<Q5_0, Tiles>;
  kernels.q5_1 = panel<Q5_1, Tiles>;
  kernels.q2_k = panel<Q2_K, Tiles>;
  kernels.q3_k = panel<Q3_K, Tiles>;
  kernels.q4_k = panel<Q4_K, Tiles>;
  kernels.q5_k = panel<Q5_K, Tiles>;
  kernels.q6_k = panel<Q6_K, Tiles>;
  kernels.iq4_nl = panel<IQ4_NL, Tiles>;
  kernels.iq4_xs = panel<IQ4_XS, Tiles>;
  kernels.mxfp4 = panel<MXFP4, Tiles>;
  return kernels;
}

}  // namespace

constinit const LinearKernels kLinearAmx = with_tiles<HardwareTiles>();
constinit const LinearKernels kLinearAmxModel = with_tiles<ModelTiles>();

}  // namespace folio::kernels
#endif
