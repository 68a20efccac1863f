// The probes of the tile registers: six of the eight hold sums, more than the products' latency over their
// throughput asks for (52 and 16 cycles on the first processors that have them), two hold the factors.
#if defined(__x86_64__)
#include "kernels/linear/amx_tiles.h"
#include "kernels/probe/probe_kernels.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kSums = 6, kTileRows = 16, kRowBytes = 64;
constexpr std::size_t kOutputs = kTileRows * kRowBytes / 4;  // of a product of two full tiles

TileShapes full_tiles() {
  TileShapes shapes;
  for (int tile = 0; tile < kTiles; ++tile) shapes.set(tile, kTileRows, kRowBytes);
  return shapes;
}

struct Int8Dot {
  using Sum = std::int32_t;
  static constexpr std::size_t kPerOutput = kRowBytes;  // multiply-adds

  template <int tile, typename Tiles>
  static void add(Tiles& tiles) {
    tiles.template dot<tile, 6, 7>();
  }
};

struct Bf16Dot {
  using Sum = float;
  static constexpr std::size_t kPerOutput = kRowBytes / 2;

  template <int tile, typename Tiles>
  static void add(Tiles& tiles) {
    tiles.template dot_bf16<tile, 6, 7>();
  }
};

template <int tile, typename Sum, typename Tiles>
std::uint64_t sum_of(Tiles& tiles) {
  alignas(64) Sum outputs[kOutputs];
  tiles.template store<tile>(outputs, kRowBytes);
  std::uint64_t total = 0;
  for (const Sum& output : outputs) total += static_cast<std::uint64_t>(output);
  return total;
}

// `ones` is a tile of factors of 1.
template <typename Dot, typename Tiles>
std::uint64_t count(const void* ones, std::size_t rounds) {
  using Sum = typename Dot::Sum;
  const TileShapes shapes = full_tiles();
  Tiles tiles(shapes);
  tiles.template load<6>(ones, kRowBytes);
  tiles.template load<7>(ones, kRowBytes);
  tiles.template zero<0>();
  tiles.template zero<1>();
  tiles.template zero<2>();
  tiles.template zero<3>();
  tiles.template zero<4>();
  tiles.template zero<5>();
  for (std::size_t round = 0; round < rounds; ++round) {
    Dot::template add<0>(tiles);
    Dot::template add<1>(tiles);
    Dot::template add<2>(tiles);
    Dot::template add<3>(tiles);
    Dot::template add<4>(tiles);
    Dot::template add<5>(tiles);
  }
  return sum_of<0, Sum>(tiles) + sum_of<1, Sum>(tiles) + sum_of<2, Sum>(tiles) + sum_of<3, Sum>(tiles) +
         sum_of<4, Sum>(tiles) + sum_of<5, Sum>(tiles);
}

template <typename Tiles>
std::uint64_t int8(std::size_t rounds) {
  alignas(64) std::int8_t ones[kTileRows * kRowBytes];
  for (std::int8_t& one : ones) one = 1;
  return count<Int8Dot, Tiles>(ones, rounds);
}

template <typename Tiles>
std::uint64_t bf16(std::size_t rounds) {
  alignas(64) std::uint16_t ones[kTileRows * kRowBytes / 2];
  for (std::uint16_t& one : ones) one = 0x3f80;  // 1 as bfloat16
  return count<Bf16Dot, Tiles>(ones, rounds);
}

template <typename Tiles>
constexpr TileProbes probes() {
  return {.int8 = {int8<Tiles>, 2 * kSums * kOutputs * Int8Dot::kPerOutput},
          .bf16 = {bf16<Tiles>, 2 * kSums * kOutputs * Bf16Dot::kPerOutput}};
}

}  // namespace

constinit const TileProbes kTileProbes = probes<HardwareTiles>();
constinit const TileProbes kTileProbesModel = probes<ModelTiles>();

}  // namespace folio::kernels
#endif
