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

// How the codes of a group come to lie in memory as signed bytes [8 quads][16 outputs][4], the layout of the
// second operand of TDPBSSD; `buffer` has 512 bytes.
struct Q8Codes {
  using Units = Q8Units;
  static const void* signed_codes(const std::uint8_t* codes, std::uint8_t*) { return codes; }
};

template <typename UnitsType, int offset>
struct NibbleCodes {
  using Units = UnitsType;
  static const void* signed_codes(const std::uint8_t* codes, std::uint8_t* buffer) {
    const __m512i raise = _mm512_set1_epi8(offset);
    for (std::size_t quad = 0; quad < 4; ++quad) {
      const Bytes64 bytes = load_bytes(codes + quad * 64);
      _mm512_store_si512(buffer + quad * 64, _mm512_sub_epi8(low_nibbles(bytes).v, raise));
      _mm512_store_si512(buffer + (quad + 4) * 64, _mm512_sub_epi8(high_nibbles(bytes).v, raise));
    }
    return buffer;
  }
};

// One group's dots of the rows of one tile, of each plane.
struct alignas(64) GroupDots {
  std::int32_t of[2][kTileRows][kPanelOutputs];
};

// Tiles 0 and 1 sum the high and the low plane, 2 and 3 hold their activations, 4 the weights.
TileShapes shapes_for(std::size_t rows) {
  TileShapes shapes;
  shapes.set(0, rows, kPanelOutputs * 4);
  shapes.set(1, rows, kPanelOutputs * 4);
  shapes.set(2, rows, 32);
  shapes.set(3, rows, 32);
  shapes.set(4, 8, kPanelOutputs * 4);
  return shapes;
}

template <typename Codes, int P, typename Tiles>
inline void tile_dots(Tiles& tiles, const PanelArgs& args, const GroupRows<P>& x, std::size_t g,
                      GroupDots& dots) {
  alignas(64) std::uint8_t buffer[512];
  const std::size_t stride = args.x->code_stride * P;
  tiles.template load<4>(Codes::signed_codes(Codes::Units::codes(args.panel, g), buffer), 64);
  tiles.template zero<0>();
  tiles.template load<2>(x.code(0, 0, g), stride);
  tiles.template dot<0, 2, 4>();
  if constexpr (P == 2) {
    tiles.template zero<1>();
    tiles.template load<3>(x.code(0, 1, g), stride);
    tiles.template dot<1, 3, 4>();
    tiles.template store<1>(dots.of[1], kPanelOutputs * 4);
  }
  tiles.template store<0>(dots.of[0], kPanelOutputs * 4);
}

// The same float operations in the same order as the tiles of x86_impl.h.
template <bool has_minimum, typename Units, int P>
inline void add_dots(const PanelArgs& args, const GroupRows<P>& x, std::size_t g, std::size_t rows,
                     const GroupDots& dots, float (&sums)[kTileRows][kPanelOutputs]) {
  const std::uint8_t* halves = Units::halves(args.panel, g);
  const F32x16 scale = load_halves(halves);
  const F32x16 minimum = has_minimum ? load_halves(halves + kPanelOutputs * 2) : zero();
  for (std::size_t r = 0; r < rows; ++r) {
    const auto row = static_cast<int>(r);
    I32x16 dot{_mm512_load_si512(dots.of[0][r])};
    if constexpr (P == 2) dot = add_int(times_256(dot), {_mm512_load_si512(dots.of[1][r])});
    F32x16 sum = fma(mul(scale, set1(x.scale(row, g))), to_float(dot), load(sums[r]));
    if constexpr (has_minimum)
      sum = fma(minimum, set1(x.scale(row, g) * static_cast<float>(x.sum(row, g))), sum);
    store(sums[r], sum);
  }
}

// Rows [first, first + rows), at most sixteen. The vector part of a group runs beside the tiles' next group.
template <typename Codes, bool has_minimum, int P, typename Tiles>
void run_tile(const PanelArgs& args, std::size_t first, std::size_t rows) {
  using Units = typename Codes::Units;
  const std::size_t groups = args.columns / 32;
  const GroupRows<P> x(args, first);
  const TileShapes shapes = shapes_for(rows);
  Tiles tiles(shapes);
  alignas(64) float sums[kTileRows][kPanelOutputs] = {};
  GroupDots dots[2];
  for (std::size_t g = 0; g < groups; ++g) {
    tile_dots<Codes, P>(tiles, args, x, g, dots[g % 2]);
    if (g > 0) add_dots<has_minimum, Units>(args, x, g - 1, rows, dots[(g - 1) % 2], sums);
  }
  if (groups > 0) add_dots<has_minimum, Units>(args, x, groups - 1, rows, dots[(groups - 1) % 2], sums);
  for (std::size_t r = 0; r < rows; ++r) store_outputs(args, first + r, load(sums[r]));
}

template <typename Codes, bool has_minimum, typename Tiles, PanelKernel few_rows>
void panel(const PanelArgs& args) {
  if (args.x->rows < kFewestRows) return few_rows(args);
  for (std::size_t row = 0; row < args.x->rows; row += kTileRows) {
    const std::size_t rows = args.x->rows - row < kTileRows ? args.x->rows - row : kTileRows;
    if (args.x->planes == 2)
      run_tile<Codes, has_minimum, 2, Tiles>(args, row, rows);
    else
      run_tile<Codes, has_minimum, 1, Tiles>(args, row, rows);
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
  kernels.q8_0 = panel<Q8Codes, false, Tiles, q8_0>;
  kernels.q4_0 = panel<NibbleCodes<Q4_0Units, 8>, false, Tiles, q4_0>;
  kernels.q4_1 = panel<NibbleCodes<Q4_1Units, 0>, true, Tiles, q4_1>;
  return kernels;
}

}  // namespace

constinit const LinearKernels kLinearAmx = with_tiles<HardwareTiles>();
constinit const LinearKernels kLinearAmxModel = with_tiles<ModelTiles>();

}  // namespace folio::kernels
#endif
