// KvGeometry: the only place that turns a model's KV shape, its element type and the block length into bytes,
// strides and offsets. Pool, views, planner and block files ask it.
//
// One block holds the keys and values of `block_tokens` consecutive token positions, for all layers of its
// group:
//
//   block   | layer 0: K region | layer 0: V region | layer 1: K region | layer 1: V region | ...
//   region  | head 0 | head 1 | ... | head kv_heads-1 |
//   head    | tile 0 | tile 1 | ... | tile block_tokens/16 - 1 |
//   tile    16 token positions: key_dim x 16 elements (K), or 16 x value_dim elements (V)
//
// so one head of one layer is contiguous: a kernel walks its tiles with one stride. The order of elements
// inside a tile, and the padding of odd dimensions, belong to the kernel (kernels/attention/kv_type.h); a
// tile is always a multiple of 64 bytes, hence every tile starts on a cache line if the block does.
//
// Thread rule: immutable value. Cost: every question is a few integer operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "kernels/attention/kv_type.h"

namespace folio::kv {

inline constexpr std::uint32_t kDefaultBlockTokens = 16;
inline constexpr std::uint32_t kMaxBlockTokens = 256;
inline constexpr std::uint32_t kMaxLayers = 4096;
inline constexpr std::uint32_t kMaxKvHeads = 4096;
inline constexpr std::uint32_t kMaxHeadDim = 65536;

// What one group of layers keeps per token.
struct KvShape {
  std::uint32_t layers = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t key_dim = 0;    // numbers per head and token
  std::uint32_t value_dim = 0;  // numbers per head and token
  kernels::KvType type = kernels::KvType::kF32;
  std::uint32_t block_tokens = kDefaultBlockTokens;

  friend bool operator==(const KvShape&, const KvShape&) = default;
};

class KvGeometry {
 public:
  // Errors: kInvalid for a zero, for a number above its limit (which no product below can overflow), or for a
  // block length that is not a multiple of 16 within [16, 256]; the sentence names the field.
  [[nodiscard]] static Result<KvGeometry> create(const KvShape& shape);

  const KvShape& shape() const { return shape_; }
  std::size_t block_tokens() const { return shape_.block_tokens; }
  std::size_t tiles_per_block() const { return shape_.block_tokens / kernels::kTileTokens; }

  std::size_t block_bytes() const { return shape_.layers * layer_bytes_; }
  std::size_t bytes_per_token() const {
    return block_bytes() / shape_.block_tokens;
  }  // exact, padding included
  std::size_t padding_bytes_per_token() const;  // of bytes_per_token()

  // Strides in bytes: from a tile to the next of its head, from a head to the next, from a layer to the next.
  std::size_t key_tile_bytes() const { return key_tile_bytes_; }
  std::size_t value_tile_bytes() const { return value_tile_bytes_; }
  std::size_t key_head_bytes() const { return tiles_per_block() * key_tile_bytes_; }
  std::size_t value_head_bytes() const { return tiles_per_block() * value_tile_bytes_; }
  std::size_t layer_bytes() const { return layer_bytes_; }

  // Bytes from the start of a block to the first tile of a head. Requires: layer < layers, head < kv_heads.
  std::size_t key_offset(std::size_t layer, std::size_t head) const {
    return layer * layer_bytes_ + head * key_head_bytes();
  }
  std::size_t value_offset(std::size_t layer, std::size_t head) const {
    return layer * layer_bytes_ + shape_.kv_heads * key_head_bytes() + head * value_head_bytes();
  }

  // Blocks that hold tokens [0, tokens), and how many of them are full.
  std::size_t blocks_for(std::size_t tokens) const {
    return tokens / shape_.block_tokens + (tokens % shape_.block_tokens != 0);
  }
  std::size_t full_blocks(std::size_t tokens) const { return tokens / shape_.block_tokens; }

  // The arithmetic as one line for people: "2 (K and V) x 30 layers x 3 KV heads x 64 dims x 2 bytes (bf16) =
  // 23,040 bytes per token; x 16 tokens = 368,640 bytes per block".
  std::string formula() const;

 private:
  explicit KvGeometry(const KvShape& shape);

  KvShape shape_;
  std::size_t key_tile_bytes_;
  std::size_t value_tile_bytes_;
  std::size_t layer_bytes_;
};

}  // namespace folio::kv
