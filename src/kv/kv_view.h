// The cache's memory as the attention kernels take it: plain numbers, no kv type.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/attention/attention.h"
#include "kv/kv_geometry.h"

namespace folio::kv {

// Requires: layer < shape.layers; memory is KvCache::memory() of this geometry.
inline kernels::KvLayerView layer_view(const KvGeometry& geometry, std::span<std::byte> memory,
                                       std::size_t layer) {
  const KvShape& shape = geometry.shape();
  return {.memory = memory.data(),
          .block_bytes = geometry.block_bytes(),
          .tiles_per_block = geometry.tiles_per_block(),
          .key_offset = geometry.key_offset(layer, 0),
          .value_offset = geometry.value_offset(layer, 0),
          .key_head_bytes = geometry.key_head_bytes(),
          .value_head_bytes = geometry.value_head_bytes(),
          .key_tile_bytes = geometry.key_tile_bytes(),
          .value_tile_bytes = geometry.value_tile_bytes(),
          .kv_heads = shape.kv_heads,
          .key_dim = shape.key_dim,
          .value_dim = shape.value_dim,
          .type = shape.type};
}

}  // namespace folio::kv
