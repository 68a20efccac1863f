// The eight tile registers of AMX with the operations that kernels and probes use, and a model of them in
// plain C++ with the same interface, which runs those where there is no AMX. Included by files named
// x86_amx.cc alone. A tile is up to 16 rows of up to 64 bytes. Source of the operations: Intel's instruction
// set reference, LDTILECFG, TILELOADD, TDPBSSD, TDPBF16PS.
#pragma once

#include <cstddef>
#include <cstdint>

namespace folio::kernels {
namespace {

inline constexpr int kTiles = 8;

// What LDTILECFG reads.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  void set(int tile, std::size_t row_count, std::size_t bytes) {
    rows[tile] = static_cast<std::uint8_t>(row_count);
    row_bytes[tile] = static_cast<std::uint16_t>(bytes);
  }
};
static_assert(sizeof(TileShapes) == 64);

// The processor's own. Every statement clobbers memory, so that nothing is moved across it.
class HardwareTiles {
 public:
  explicit HardwareTiles(const TileShapes& shapes) { asm volatile("ldtilecfg %0" ::"m"(shapes) : "memory"); }
  ~HardwareTiles() { asm volatile("tilerelease" ::: "memory"); }
  HardwareTiles(const HardwareTiles&) = delete;
  HardwareTiles& operator=(const HardwareTiles&) = delete;

  template <int tile>
  void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(tile) : "memory");
  }
  template <int tile>
  void load(const void* from, std::size_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  void store(void* to, std::size_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
  }
  // sum[m][n] += the products of the four signed bytes a[m][4 k ..] and b[k][4 n ..], over k.
  template <int sum, int a, int b>
  void dot() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(a), "i"(b) : "memory");
  }
  // The same of pairs of bfloat16, to f32. Requires: CpuFeatures::amx_bf16.
  template <int sum, int a, int b>
  void dot_bf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(a), "i"(b) : "memory");
  }
};

class ModelTiles {
 public:
  explicit ModelTiles(const TileShapes& shapes) : shapes_(shapes) {}

  template <int tile>
  void zero() {
    __builtin_memset(bytes_[tile], 0, sizeof(bytes_[tile]));
  }
  template <int tile>
  void load(const void* from, std::size_t stride) {
    zero<tile>();
    for (std::size_t row = 0; row < shapes_.rows[tile]; ++row)
      __builtin_memcpy(bytes_[tile] + row * 64, static_cast<const char*>(from) + row * stride,
                       shapes_.row_bytes[tile]);
  }
  template <int tile>
  void store(void* to, std::size_t stride) {
    for (std::size_t row = 0; row < shapes_.rows[tile]; ++row)
      __builtin_memcpy(static_cast<char*>(to) + row * stride, bytes_[tile] + row * 64,
                       shapes_.row_bytes[tile]);
  }
  template <int sum, int a, int b>
  void dot() {
    for (std::size_t m = 0; m < shapes_.rows[sum]; ++m)
      for (std::size_t n = 0; n < shapes_.row_bytes[sum] / 4u; ++n) {
        std::int32_t total;
        __builtin_memcpy(&total, bytes_[sum] + m * 64 + n * 4, 4);
        for (std::size_t k = 0; k < shapes_.row_bytes[a] / 4u; ++k)
          for (std::size_t i = 0; i < 4; ++i)
            total += bytes_[a][m * 64 + k * 4 + i] * bytes_[b][k * 64 + n * 4 + i];
        __builtin_memcpy(bytes_[sum] + m * 64 + n * 4, &total, 4);
      }
  }
  // Even and odd products are summed apart, then both are added. (Denormals are not flushed here.)
  template <int sum, int a, int b>
  void dot_bf16() {
    for (std::size_t m = 0; m < shapes_.rows[sum]; ++m)
      for (std::size_t n = 0; n < shapes_.row_bytes[sum] / 4u; ++n) {
        float totals[2] = {}, total;
        for (std::size_t k = 0; k < shapes_.row_bytes[a] / 4u; ++k)
          for (std::size_t i = 0; i < 2; ++i)
            totals[i] +=
                bf16_at(bytes_[a] + m * 64 + k * 4 + i * 2) * bf16_at(bytes_[b] + k * 64 + n * 4 + i * 2);
        __builtin_memcpy(&total, bytes_[sum] + m * 64 + n * 4, 4);
        total += totals[0] + totals[1];
        __builtin_memcpy(bytes_[sum] + m * 64 + n * 4, &total, 4);
      }
  }

 private:
  static float bf16_at(const std::int8_t* at) {
    std::uint16_t half;
    __builtin_memcpy(&half, at, 2);
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(half) << 16);
  }

  TileShapes shapes_;
  std::int8_t bytes_[kTiles][16 * 64];
};

}  // namespace
}  // namespace folio::kernels
