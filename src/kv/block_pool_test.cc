#include "kv/block_pool.h"

#include <gtest/gtest.h>

#include <vector>

#include "kv/block_table.h"
#include "kv/eviction.h"

namespace folio::kv {
namespace {

constexpr std::size_t kBlockBytes = 64;

class BlockPoolTest : public ::testing::Test {
 protected:
  void TearDown() override { expect_sound(); }
  void expect_sound() {
    const Status status = pool.check_integrity();
    EXPECT_TRUE(status) << status.error().message;
  }
  void expect_counts(std::size_t free, std::size_t cached, std::size_t in_use) {
    EXPECT_EQ(pool.free_blocks(), free);
    EXPECT_EQ(pool.cached_blocks(), cached);
    EXPECT_EQ(pool.in_use_blocks(), in_use);
    expect_sound();
  }
  // Leaves one more cached block behind.
  BlockId cache_one() {
    BlockRef block = pool.acquire().value();
    pool.keep(block.id(), {});
    return block.id();
  }
  // As the cache does: what is first in order goes when no block is free.
  std::optional<BlockRef> obtain() {
    if (pool.free_blocks() == 0 && pool.cached_blocks() > 0) {
      evicted.push_back(pool.first_victim());
      pool.forget(pool.first_victim());
    }
    return pool.acquire();
  }

  std::vector<BlockId> evicted;
  BlockPool pool{platform::Arena::create(3 * kBlockBytes, "test").value(), kBlockBytes,
                 make_evictor(Eviction::kLru, 3, 0)};
};

TEST_F(BlockPoolTest, HandsOutEveryBlockOnceThenAnswersNo) {
  std::vector<BlockRef> refs;
  for (std::uint32_t i = 0; i < 3; ++i) {
    refs.push_back(pool.acquire().value());
    EXPECT_EQ(raw(refs.back().id()), i);
    EXPECT_EQ(pool.data(refs.back().id()), pool.memory().data() + i * kBlockBytes);
  }
  EXPECT_FALSE(pool.acquire());
  expect_counts(0, 0, 3);
  refs.clear();
  expect_counts(3, 0, 0);
}

TEST_F(BlockPoolTest, SharedPinHoldsTheBlock) {
  std::optional<BlockRef> first = pool.acquire();
  std::optional<BlockRef> second = pool.pin(first->id());
  EXPECT_EQ(pool.pins(first->id()), 2);
  first.reset();
  expect_counts(2, 0, 1);
  second.reset();
  expect_counts(3, 0, 0);
}

TEST_F(BlockPoolTest, MovedPinIsOnePin) {
  BlockRef first = pool.acquire().value();
  const BlockId block = first.id();
  BlockRef second = std::move(first);
  EXPECT_EQ(pool.pins(block), 1);
  BlockRef other = pool.acquire().value();
  other = std::move(second);
  EXPECT_EQ(other.id(), block);
  expect_counts(1, 0, 2);  // `second` carries what `other` had
}

TEST_F(BlockPoolTest, EvictsLeastRecentlyReleasedAndOnlyUnderPressure) {
  std::optional<BlockRef> a = pool.acquire();
  std::optional<BlockRef> b = pool.acquire();
  const BlockId id_a = a->id();
  const BlockId id_b = b->id();
  pool.keep(id_a, {});
  pool.keep(id_b, {});
  b.reset();
  a.reset();
  expect_counts(1, 2, 0);
  {
    BlockRef touched = pool.pin(id_b);
  }  // now released after a

  BlockRef from_free = obtain().value();
  EXPECT_TRUE(evicted.empty());
  EXPECT_FALSE(pool.acquire()) << "what can be found again is not taken away by itself";
  BlockRef from_a = obtain().value();
  EXPECT_EQ(evicted, std::vector{id_a});
  EXPECT_EQ(from_a.id(), id_a);
  EXPECT_FALSE(pool.kept(id_a));
  BlockRef from_b = obtain().value();
  EXPECT_EQ(evicted, (std::vector{id_a, id_b}));
  EXPECT_FALSE(obtain());
}

TEST_F(BlockPoolTest, PinnedBlockIsNeverEvicted) {
  const BlockId cached = cache_one();
  BlockRef pin = pool.pin(cached);
  BlockRef b = obtain().value();
  BlockRef c = obtain().value();
  EXPECT_FALSE(obtain());
  EXPECT_TRUE(evicted.empty());
}

TEST_F(BlockPoolTest, ForgottenCachedBlockIsFree) {
  const BlockId cached = cache_one();
  expect_counts(2, 1, 0);
  pool.forget(cached);
  expect_counts(3, 0, 0);
  EXPECT_EQ(pool.acquire()->id(), cached);
}

TEST_F(BlockPoolTest, FreedBlockIsReusedFirst) {
  std::optional<BlockRef> a = pool.acquire();
  BlockRef b = pool.acquire().value();
  const BlockId id_a = a->id();
  a.reset();
  EXPECT_EQ(pool.acquire()->id(), id_a);
}

using BlockPoolDeathTest = BlockPoolTest;

TEST_F(BlockPoolDeathTest, MisuseIsABug) {
  EXPECT_DEATH((void)pool.pin(BlockId{0}), "pinning a free block");
  EXPECT_DEATH(pool.keep(BlockId{0}, {}), "in use");
  EXPECT_DEATH(pool.forget(BlockId{0}), "not kept");
  const BlockId cached = cache_one();
  EXPECT_DEATH(pool.keep(cached, {}), "in use");
}

TEST_F(BlockPoolTest, TablePinsAppendsAndTruncates) {
  BlockTable table(pool, 16, 3);
  table.append(pool.acquire().value());
  table.append(pool.acquire().value());
  table.append(pool.acquire().value());
  EXPECT_EQ(table.token_capacity(), 48);
  for (BlockId block : table.ids()) EXPECT_EQ(pool.pins(block), 1);
  table.truncate(33);
  EXPECT_EQ(table.blocks(), 3);
  table.truncate(32);
  EXPECT_EQ(table.blocks(), 2);
  expect_counts(1, 0, 2);
}

TEST_F(BlockPoolTest, TableReleasesItsEndFirst) {
  {
    BlockTable table(pool, 16, 3);
    for (int i = 0; i < 3; ++i) {
      table.append(pool.acquire().value());
      pool.keep(table.ids().back(), {});
    }
  }
  EXPECT_EQ(raw(pool.first_victim()), 2);
  EXPECT_EQ(pool.victims(), (std::vector{BlockId{2}, BlockId{1}, BlockId{0}}));
}

TEST_F(BlockPoolTest, TableAsksForACopyOfWhatOthersSee) {
  BlockTable table(pool, 16, 2);
  table.append(pool.acquire().value());
  table.append(pool.acquire().value());
  EXPECT_FALSE(table.needs_copy(0));
  {
    BlockTable shared = table.share(1, 1);
    EXPECT_TRUE(table.needs_copy(15));
    EXPECT_FALSE(table.needs_copy(16));
    EXPECT_TRUE(shared.needs_copy(0));
  }
  EXPECT_FALSE(table.needs_copy(15));
  pool.keep(table.ids()[1], {});
  EXPECT_TRUE(table.needs_copy(16));
}

TEST_F(BlockPoolTest, TableMovesItsPins) {
  BlockTable table(pool, 16, 2);
  table.append(pool.acquire().value());
  BlockTable moved = std::move(table);
  BlockTable assigned(pool, 16, 1);
  assigned = std::move(moved);
  EXPECT_EQ(assigned.blocks(), 1);
  expect_counts(2, 0, 1);
}

}  // namespace
}  // namespace folio::kv
