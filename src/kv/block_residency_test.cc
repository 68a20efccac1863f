#include "kv/block_residency.h"

#include <gtest/gtest.h>

#include <numeric>

#include "kv/kv_testing.h"

namespace folio::kv {
namespace {

std::uint64_t total(const TimeHistogram& histogram) {
  return std::accumulate(histogram.counts.begin(), histogram.counts.end(), std::uint64_t{0});
}

// One published block per 16 tokens, computed and released.
void run(KvCache& cache, std::int32_t first) {
  const std::vector<TokenId> tokens = testing::token_run(first, 17);
  SequenceKv sequence = testing::open(cache, tokens.size());
  cache.match(sequence, tokens);
  ASSERT_EQ(cache.reserve(sequence, tokens.size()), Reserve::kDone);
  cache.commit(sequence, tokens, tokens.size());
  cache.release(sequence);
}

struct Watch {
  double now = 0;
  BlockResidency residency;
  std::unique_ptr<KvCache> cache;

  explicit Watch(double share, std::size_t blocks = 4)
      : residency(blocks, {.share = share, .now_s = [this] { return now; }}),
        cache(testing::small_cache(blocks)) {
    cache->observe(residency);
  }
  const ResidencyTimes& times() const { return residency.times(); }
};

TEST(BlockResidency, TimesAreThoseOfTheClock) {
  Watch watch(1);
  run(*watch.cache, 0);  // published at 0
  watch.now = 4;
  run(*watch.cache, 0);  // used at 4
  watch.now = 5;
  run(*watch.cache, 0);  // used at 5
  EXPECT_EQ(total(watch.times().reuse_gap), 2u);
  EXPECT_EQ(watch.times().reuse_gap.sum_s, 5);
  EXPECT_EQ(total(watch.times().lifetime), 0u) << "it is resident still";
  watch.now = 25;
  for (std::int32_t other = 1; other <= 4; ++other) run(*watch.cache, 100 * other);
  EXPECT_EQ(watch.cache->stats().evicted_blocks, total(watch.times().lifetime));
  ASSERT_GE(total(watch.times().lifetime), 1u);
  EXPECT_EQ(watch.times().lifetime.sum_s, 25) << "of the first; the others came and went at one moment";
  EXPECT_EQ(watch.times().idle_before_eviction.sum_s, 20);
}

TEST(BlockResidency, WhoFindsBlocksAndThenWaitsForRoomUsesNone) {
  Watch watch(1);
  run(*watch.cache, 0);
  watch.now = 7;
  const std::vector<TokenId> tokens = testing::token_run(0, 17);
  SequenceKv waiting = testing::open(*watch.cache, tokens.size());
  for (int step = 0; step < 3; ++step) {
    EXPECT_EQ(watch.cache->match(waiting, tokens), 16u);
    watch.cache->release(waiting);
  }
  EXPECT_EQ(total(watch.times().reuse_gap), 0u);
  watch.cache->match(waiting, tokens);
  ASSERT_EQ(watch.cache->reserve(waiting, tokens.size()), Reserve::kDone);
  watch.cache->commit(waiting, tokens, tokens.size());
  EXPECT_EQ(total(watch.times().reuse_gap), 1u);
  EXPECT_EQ(watch.times().reuse_gap.sum_s, 7);
  watch.cache->release(waiting);
}

TEST(BlockResidency, BoundsBelongToTheBucketBelow) {
  TimeHistogram histogram;
  histogram.add(0.001);
  histogram.add(0.0011);
  histogram.add(1800);
  histogram.add(1801);
  EXPECT_EQ(histogram.counts[0], 1u);
  EXPECT_EQ(histogram.counts[1], 1u);
  EXPECT_EQ(histogram.counts[20], 1u);
  EXPECT_EQ(histogram.counts[21], 1u);
}

TEST(BlockResidency, ASampleIsTheShareThatWasAskedFor) {
  Watch watch(0.25, 2);
  for (std::int32_t i = 0; i < 81; ++i) run(*watch.cache, 100 * i);
  const std::uint64_t evicted = watch.cache->stats().evicted_blocks;
  ASSERT_GE(evicted, 79u);
  EXPECT_NEAR(static_cast<double>(total(watch.times().lifetime)), static_cast<double>(evicted) / 4, 1);
}

TEST(BlockResidency, AResetEndsNoLifetime) {
  Watch watch(0.3);  // so that blocks which were watched come back unwatched
  for (std::int32_t round = 0; round < 20; ++round) {
    watch.now += 3;
    for (std::int32_t i = 0; i < 6; ++i) run(*watch.cache, 1000 * round + 100 * i);
    ASSERT_EQ(watch.cache->reset(), Reset::kDone);
  }
  EXPECT_GT(total(watch.times().lifetime), 0u);
  EXPECT_EQ(watch.times().lifetime.sum_s, 0) << "blocks of before are not remembered";
}

}  // namespace
}  // namespace folio::kv
