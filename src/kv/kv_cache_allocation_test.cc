#include <gtest/gtest.h>

#include <algorithm>

#include "base/counting_new.h"
#include "kv/kv_cache.h"
#include "kv/kv_testing.h"

namespace folio::kv {
namespace {

// The decode loop, eviction, copy-on-write and a second turn, without a single allocation.
TEST(KvCacheAllocation, NothingBetweenOpenAndClose) {
  auto cache = testing::small_cache(12);
  const auto tokens = testing::token_run(0, 100);
  const auto others = testing::token_run(500, 100);
  auto branched = tokens;  // goes on as `others` do
  std::ranges::copy(others.begin() + 20, others.end(), branched.begin() + 20);
  SequenceKv first = testing::open(*cache, 100);
  SequenceKv second = testing::open(*cache, 100);
  const std::size_t before = folio::testing::allocations;
  for (int turn = 0; turn < 3; ++turn) {
    cache->match(first, tokens);
    for (std::size_t upto = first.computed() + 1; upto <= 100; ++upto)
      ASSERT_TRUE(testing::advance(*cache, first, tokens, upto));
    cache->truncate(first, 20);
    ASSERT_TRUE(testing::advance(*cache, first, branched, 50));
    cache->match(second, others);
    ASSERT_TRUE(testing::advance(*cache, second, others, 100));
    cache->reset(first, 0);
    cache->release(second);
  }
  EXPECT_EQ(folio::testing::allocations - before, 0);
  EXPECT_GT(cache->stats().evicted_blocks, 0);
  EXPECT_GT(cache->stats().copied_blocks, 0);
  EXPECT_GT(cache->stats().hit_tokens, 0);
}

// metadata_bytes() against the allocator: what create() asks for is that and a few small objects.
TEST(KvCacheAllocation, MetadataIsWhatWasSaid) {
  for (const std::size_t blocks : {1000u, 1025u, 5000u})
    for (const Eviction eviction : {Eviction::kLru, Eviction::kCost}) {
      const KvCacheOptions options{.geometry = testing::small_geometry(),
                                   .blocks = blocks,
                                   .eviction = eviction,
                                   .swap_blocks = blocks / 2};
      const std::size_t before = folio::testing::allocated_bytes;
      const auto cache = KvCache::create(options);
      ASSERT_TRUE(cache.has_value());
      const std::size_t taken = folio::testing::allocated_bytes - before;
      const std::size_t said = KvCache::metadata_bytes(options);
      EXPECT_GE(taken, said) << blocks;
      EXPECT_LE(taken, said + 4096) << blocks;
    }
}

}  // namespace
}  // namespace folio::kv
