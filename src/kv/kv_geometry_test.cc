#include "kv/kv_geometry.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

namespace folio::kv {
namespace {

using kernels::KvType;

const KvShape kSmolLm2{.layers = 30, .kv_heads = 3, .key_dim = 64, .value_dim = 64, .type = KvType::kBF16};

TEST(KvGeometry, SpellsOutSmolLm2) {
  const KvGeometry geometry = KvGeometry::create(kSmolLm2).value();
  EXPECT_EQ(geometry.bytes_per_token(), 23'040);
  EXPECT_EQ(geometry.block_bytes(), 368'640);
  EXPECT_EQ(geometry.padding_bytes_per_token(), 0);
  EXPECT_EQ(geometry.formula(),
            "2 (K and V) x 30 layers x 3 KV heads x 64 dims x 2 bytes (bf16) = 23,040 bytes per token; "
            "x 16 tokens = 368,640 bytes per block");
}

TEST(KvGeometry, SpellsOutUnequalAndPaddedDims) {
  const KvShape shape{
      .layers = 1, .kv_heads = 2, .key_dim = 3, .value_dim = 4, .type = KvType::kF16, .block_tokens = 32};
  const KvGeometry geometry = KvGeometry::create(shape).value();
  EXPECT_EQ(geometry.key_tile_bytes(), 128);    // 3 * 16 * 2 = 96, padded
  EXPECT_EQ(geometry.value_tile_bytes(), 512);  // 4 * 16 * 2, padded to a vector of 16 dims
  EXPECT_EQ(
      geometry.formula(),
      "1 layers x 2 KV heads x (3 K + 4 V dims) x 2 bytes (f16) + 52 bytes of padding = 80 bytes per token; "
      "x 32 tokens = 2,560 bytes per block");
}

TEST(KvGeometry, CountsBlocks) {
  const KvGeometry geometry = KvGeometry::create(kSmolLm2).value();
  EXPECT_EQ(geometry.blocks_for(0), 0);
  EXPECT_EQ(geometry.blocks_for(1), 1);
  EXPECT_EQ(geometry.blocks_for(16), 1);
  EXPECT_EQ(geometry.blocks_for(17), 2);
  EXPECT_EQ(geometry.full_blocks(15), 0);
  EXPECT_EQ(geometry.full_blocks(32), 2);
}

struct Refusal {
  KvShape shape;
  const char* names;
};

TEST(KvGeometry, RefusesHostileShapesByName) {
  const auto with = [](auto change) {
    KvShape shape = kSmolLm2;
    change(shape);
    return shape;
  };
  const std::vector<Refusal> refusals = {
      {with([](KvShape& s) { s.layers = 0; }), "layers is 0"},
      {with([](KvShape& s) { s.layers = 0xFFFF'FFFF; }), "layers is 4294967295"},
      {with([](KvShape& s) { s.kv_heads = 0; }), "kv_heads"},
      {with([](KvShape& s) { s.kv_heads = kMaxKvHeads + 1; }), "kv_heads"},
      {with([](KvShape& s) { s.key_dim = 0; }), "key_dim"},
      {with([](KvShape& s) { s.value_dim = kMaxHeadDim + 1; }), "value_dim"},
      {with([](KvShape& s) { s.block_tokens = 0; }), "block_tokens"},
      {with([](KvShape& s) { s.block_tokens = 24; }), "multiple of 16"},
      {with([](KvShape& s) { s.block_tokens = 272; }), "block_tokens"},
  };
  for (const Refusal& refusal : refusals) {
    const auto geometry = KvGeometry::create(refusal.shape);
    ASSERT_FALSE(geometry) << refusal.names;
    EXPECT_NE(geometry.error().message.find(refusal.names), std::string::npos) << geometry.error().message;
  }
}

TEST(KvGeometry, LargestShapeDoesNotOverflow) {
  const KvGeometry geometry = KvGeometry::create({.layers = kMaxLayers,
                                                  .kv_heads = kMaxKvHeads,
                                                  .key_dim = kMaxHeadDim,
                                                  .value_dim = kMaxHeadDim,
                                                  .block_tokens = kMaxBlockTokens})
                                  .value();
  EXPECT_EQ(geometry.block_bytes(), std::size_t{1} << (12 + 12 + 16 + 1 + 2 + 8));
}

// The tiles of a block, in the order of the layout's drawing, cover it without gap or overlap, each on a
// cache line.
TEST(KvGeometry, TilesFillTheBlockExactly) {
  EXPECT_TRUE(rc::check("tiles cover the block", [] {
    const KvShape shape{.layers = *rc::gen::inRange(1u, 6u),
                        .kv_heads = *rc::gen::inRange(1u, 6u),
                        .key_dim = *rc::gen::inRange(1u, 200u),
                        .value_dim = *rc::gen::inRange(1u, 200u),
                        .type = *rc::gen::element(KvType::kF32, KvType::kF16, KvType::kBF16),
                        .block_tokens = 16 * *rc::gen::inRange(1u, 17u)};
    const KvGeometry geometry = KvGeometry::create(shape).value();
    std::size_t expected = 0;
    const auto walk_head = [&](std::size_t offset, std::size_t tile_bytes, std::size_t dim,
                               std::size_t padded_to) {
      for (std::size_t tile = 0; tile < geometry.tiles_per_block(); ++tile) {
        RC_ASSERT(offset + tile * tile_bytes == expected);
        RC_ASSERT(expected % 64 == 0);
        RC_ASSERT(tile_bytes >= dim * 16 * kernels::element_bytes(shape.type));
        RC_ASSERT(tile_bytes < (dim + padded_to) * 16 * kernels::element_bytes(shape.type));
        expected += tile_bytes;
      }
    };
    for (std::size_t layer = 0; layer < shape.layers; ++layer) {
      for (std::size_t head = 0; head < shape.kv_heads; ++head)
        walk_head(geometry.key_offset(layer, head), geometry.key_tile_bytes(), shape.key_dim, 2);
      for (std::size_t head = 0; head < shape.kv_heads; ++head)
        walk_head(geometry.value_offset(layer, head), geometry.value_tile_bytes(), shape.value_dim, 16);
    }
    RC_ASSERT(expected == geometry.block_bytes());
    RC_ASSERT(geometry.bytes_per_token() * shape.block_tokens == geometry.block_bytes());
  }));
}

}  // namespace
}  // namespace folio::kv
