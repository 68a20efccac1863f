// How one number of K or V is stored in a cache block, and the tile in which attention reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace folio::kernels {

enum class KvType : std::uint8_t { kF32, kF16, kBF16 };

constexpr std::size_t element_bytes(KvType type) { return type == KvType::kF32 ? 4 : 2; }

constexpr std::string_view name(KvType type) {
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kF16:
      return "f16";
    case KvType::kBF16:
      return "bf16";
  }
  return "?";
}

constexpr std::optional<KvType> kv_type_from_name(std::string_view text) {
  for (KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16})
    if (text == name(type)) return type;
  return std::nullopt;
}

// Token positions in one tile: the vector width of the widest kernel, so that a tile of keys is one register
// per dimension. Inside a tile (position t = 0..15, dimension d, padded dims P as below):
//   keys, f32 and f16     [P][16]           element (t, d) at  d * 16 + t
//   keys, bf16            [P / 2][16][2]    element (t, d) at  (d / 2) * 32 + t * 2 + d % 2
//   values, f32 and f16   [16][P]           element (t, d) at  t * P + d
//   values, bf16          [8][P][2]         element (t, d) at  (t / 2) * P * 2 + d * 2 + t % 2
// The bf16 pairs let one load feed two multiply-adds, each half expanded to f32 by one shift or mask, and are
// the operand order of the bf16 dot-product and tile instructions.
inline constexpr std::size_t kTileTokens = 16;

// Keys are padded to whole pairs, values to whole vectors; the padding is never read into a result.
constexpr std::size_t padded_key_dim(std::size_t dim) { return (dim + 1) / 2 * 2; }
constexpr std::size_t padded_value_dim(std::size_t dim) { return (dim + 15) / 16 * 16; }

constexpr std::size_t key_tile_bytes(KvType type, std::size_t dim) {
  return padded_key_dim(dim) * kTileTokens * element_bytes(type);
}
constexpr std::size_t value_tile_bytes(KvType type, std::size_t dim) {
  return padded_value_dim(dim) * kTileTokens * element_bytes(type);
}

}  // namespace folio::kernels
