#include "kv/kv_cache.h"

#include <gtest/gtest.h>

#include "kv/kv_testing.h"

namespace folio::kv {
namespace {

using testing::advance;
using testing::fork;
using testing::kBlockTokens;
using testing::open;
using testing::small_cache;
using testing::states_are_right;
using testing::token_run;

void expect_sound(const KvCache& cache) {
  const Status status = cache.check_integrity();
  EXPECT_TRUE(status) << status.error().message;
}

void expect_counts(const KvCache& cache, std::size_t free, std::size_t cached, std::size_t in_use) {
  const KvStats stats = cache.stats();
  EXPECT_EQ(stats.free_blocks, free);
  EXPECT_EQ(stats.cached_blocks, cached);
  EXPECT_EQ(stats.in_use_blocks, in_use);
  expect_sound(cache);
}

TEST(KvCache, SecondTurnFindsTheFirst) {
  auto cache = small_cache(8);
  const auto tokens = token_run(0, 60);
  SequenceKv first = open(*cache, 64);
  EXPECT_EQ(cache->match(first, tokens), 0);
  ASSERT_TRUE(advance(*cache, first, tokens, 60));
  EXPECT_EQ(first.published_blocks(), 3);
  expect_counts(*cache, 4, 0, 4);
  cache->release(first);
  expect_counts(*cache, 5, 3, 0);  // the partial block holds nothing that could be found again

  SequenceKv second = open(*cache, 64);
  EXPECT_EQ(cache->match(second, tokens), 48);
  EXPECT_TRUE(states_are_right(*cache, second, tokens));
  expect_counts(*cache, 5, 0, 3);
  EXPECT_EQ(cache->stats().hit_tokens, 0);  // nothing was read yet
  ASSERT_TRUE(advance(*cache, second, tokens, 60));
  EXPECT_EQ(cache->stats().queried_tokens, 120);
  EXPECT_EQ(cache->stats().hit_tokens, 48);

  SequenceKv gave_up = open(*cache, 64);
  EXPECT_EQ(cache->match(gave_up, tokens), 48);
  cache->release(gave_up);
  SequenceKv resumed = open(*cache, 64);
  EXPECT_EQ(cache->match(resumed, tokens, Matching::kResume), 48);
  ASSERT_TRUE(advance(*cache, resumed, tokens, 60));
  EXPECT_EQ(cache->stats().queried_tokens, 120);
  EXPECT_EQ(cache->stats().hit_tokens, 48);
  EXPECT_EQ(cache->stats().resumed_tokens, 48);
}

TEST(KvCache, NeverFindsTheWholePrompt) {
  auto cache = small_cache(8);
  const auto tokens = token_run(0, 32);
  SequenceKv first = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, first, tokens, 32));
  SequenceKv second = open(*cache, 64);
  EXPECT_EQ(cache->match(second, tokens), 31);  // of the second block all but the last token
  SequenceKv third = open(*cache, 64);
  EXPECT_EQ(cache->match(third, token_run(0, 33)), 32);
  SequenceKv fourth = open(*cache, 64);
  EXPECT_EQ(cache->match(fourth, {}), 0);
  expect_sound(*cache);
}

TEST(KvCache, StopsAtTheFirstDifference) {
  auto cache = small_cache(8);
  auto tokens = token_run(0, 64);
  SequenceKv first = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, first, tokens, 64));
  tokens[20] = TokenId{999};  // in block 1; blocks 2 and 3 hold the same tokens after another past
  SequenceKv second = open(*cache, 64);
  EXPECT_EQ(cache->match(second, tokens), 20);
  EXPECT_TRUE(states_are_right(*cache, second, tokens));
  ASSERT_TRUE(advance(*cache, second, tokens, 64));  // into a copy
  EXPECT_TRUE(states_are_right(*cache, second, tokens));
  EXPECT_TRUE(states_are_right(*cache, first, token_run(0, 64)));
  EXPECT_EQ(cache->stats().copied_blocks, 1);
  expect_sound(*cache);
}

TEST(KvCache, OfSeveralBeginningsTheLongestIsTaken) {
  auto cache = small_cache(12);
  for (std::size_t common : {3u, 9u, 6u}) {
    auto tokens = token_run(0, 32);
    tokens[16 + common] = TokenId{500};
    SequenceKv sequence = open(*cache, 64);
    static_cast<void>(cache->match(sequence, tokens));
    ASSERT_TRUE(advance(*cache, sequence, tokens, 32));
  }
  SequenceKv sequence = open(*cache, 64);
  EXPECT_EQ(cache->match(sequence, token_run(0, 40)), 16 + 9);
  EXPECT_EQ(sequence.blocks().size(), 2);
  cache->release(sequence);
  EXPECT_EQ(cache->match(sequence, token_run(0, 40), Matching::kNew, Partial::kNo), 16);
  EXPECT_EQ(sequence.blocks().size(), 1);
  expect_sound(*cache);
}

TEST(KvCache, FollowersWaitForWhoComputesTheirPrefix) {
  auto cache = small_cache(16);
  const auto tokens = token_run(0, 60);
  auto other_end = tokens;
  other_end[40] = TokenId{700};  // two full blocks in common
  SequenceKv producer = cache->open(SequenceId{7}, "", 64);
  SequenceKv follower = open(*cache, 64), stranger = open(*cache, 64, "b");
  EXPECT_EQ(cache->claims().awaited(producer, tokens), std::nullopt);
  EXPECT_EQ(cache->match(producer, tokens), 0);
  cache->claims().claim(producer, tokens);
  const auto name = cache->claims().awaited(follower, other_end);
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(cache->claims().claimant(*name), SequenceId{7});
  EXPECT_EQ(cache->claims().awaited(stranger, tokens), std::nullopt);  // of another tenant
  ASSERT_TRUE(advance(*cache, producer, tokens, 20));
  EXPECT_TRUE(cache->claims().is_pending(*name));  // the first block is there; it is the second they wait for
  EXPECT_EQ(cache->claims().awaited(follower, other_end), name);
  ASSERT_TRUE(advance(*cache, producer, tokens, 32));
  EXPECT_FALSE(cache->claims().is_pending(*name));
  EXPECT_EQ(cache->claims().claimant(*name), std::nullopt);
  EXPECT_EQ(cache->claims().awaited(follower, other_end), std::nullopt);
  EXPECT_EQ(cache->match(follower, other_end), 32);
}

std::size_t names_made = 0;
BlockHash counted_link(BlockHash parent, std::span<const TokenId> tokens) {
  ++names_made;
  return hash_link(parent, tokens);
}

// A prompt that waits is looked up in every step, but named once: also while blocks come and go.
TEST(KvCache, AWaitingPromptIsNamedOnce) {
  auto cache = small_cache(64, &counted_link);
  const auto tokens = token_run(0, 50 * kBlockTokens + 3);
  auto elsewhere = tokens;
  elsewhere[20] = TokenId{7};
  SequenceKv producer = open(*cache, tokens.size());
  static_cast<void>(cache->match(producer, tokens));
  cache->claims().claim(producer, tokens);
  ASSERT_TRUE(advance(*cache, producer, tokens, 30 * kBlockTokens));

  SequenceKv waiting = open(*cache, tokens.size());
  names_made = 0;
  for (int step = 0; step < 5; ++step) EXPECT_TRUE(cache->claims().awaited(waiting, tokens).has_value());
  EXPECT_EQ(names_made, 50u);
  cache->release(producer);
  for (int step = 0; step < 5; ++step) {
    EXPECT_EQ(cache->claims().awaited(waiting, tokens), std::nullopt);
    EXPECT_EQ(cache->match(waiting, tokens), 30 * kBlockTokens);
    cache->release(waiting);
  }
  EXPECT_EQ(cache->match(waiting, tokens), 30 * kBlockTokens);
  cache->claims().claim(waiting, tokens);
  EXPECT_EQ(names_made, 50u);
  cache->release(waiting);

  cache->reset(waiting, 20);  // another token follows
  EXPECT_EQ(cache->match(waiting, elsewhere), kBlockTokens + 4);
  cache->claims().claim(waiting, elsewhere);
  EXPECT_EQ(names_made, 50u + 49u);
}

// Who waits for room asks in every step: what it found once is looked up no more, as long as it is there.
TEST(KvCache, AWaitingPromptIsLookedUpOnce) {
  auto cache = small_cache(64);
  const auto tokens = token_run(0, 50 * kBlockTokens + 3);
  {
    SequenceKv first = open(*cache, tokens.size());
    ASSERT_TRUE(advance(*cache, first, tokens, 40 * kBlockTokens));
  }
  SequenceKv waiting = open(*cache, tokens.size());
  auto looked_up = [&, before = std::uint64_t{0}]() mutable {
    const std::uint64_t now = cache->stats().looked_up_blocks;
    return now - std::exchange(before, now);
  };
  looked_up();
  EXPECT_EQ(cache->blocks_to_start(waiting, tokens, tokens.size()), 11u + 40u);
  EXPECT_EQ(looked_up(), 41u);
  for (int step = 0; step < 10; ++step) {
    EXPECT_EQ(cache->blocks_to_start(waiting, tokens, tokens.size()), 11u + 40u);
    cache->touch(waiting, tokens);
  }
  EXPECT_EQ(looked_up(), 20u);  // the first block that is not there, each time
  expect_counts(*cache, 24, 40, 0);

  SequenceKv reader = open(*cache, tokens.size());  // pins some of them, and computes one more
  EXPECT_EQ(cache->match(reader, tokens), 40 * kBlockTokens);
  EXPECT_EQ(cache->blocks_to_start(waiting, tokens, tokens.size()), 11u);
  ASSERT_TRUE(advance(*cache, reader, tokens, 41 * kBlockTokens));
  looked_up();
  EXPECT_EQ(cache->blocks_to_start(waiting, tokens, tokens.size()), 10u);
  EXPECT_EQ(looked_up(), 2u);
  cache->truncate(reader, 20 * kBlockTokens);
  EXPECT_EQ(cache->blocks_to_start(waiting, tokens, tokens.size()), 10u + 21u);

  cache->release(reader);
  SequenceKv needy = open(*cache, 40 * kBlockTokens);  // takes the end of what was found
  ASSERT_EQ(cache->reserve(needy, 33 * kBlockTokens), Reserve::kDone);
  looked_up();
  EXPECT_EQ(cache->blocks_to_start(waiting, tokens, tokens.size()), 20u + 31u);
  EXPECT_EQ(looked_up(), 1u);
  EXPECT_EQ(cache->match(waiting, tokens), 31 * kBlockTokens);
  EXPECT_TRUE(states_are_right(*cache, waiting, tokens));
  expect_sound(*cache);
}

// Of two prefixes that were released once each, the one that somebody waits with goes last.
TEST(KvCache, WhatAWaitingPromptFoundIsLostLast) {
  auto cache = small_cache(4);
  const auto waited_for = token_run(0, 33), other = token_run(500, 33);
  for (const auto* tokens : {&waited_for, &other}) {
    SequenceKv sequence = open(*cache, 33);
    ASSERT_TRUE(advance(*cache, sequence, *tokens, 32));
  }
  SequenceKv waiting = open(*cache, 33);
  cache->touch(waiting, waited_for);
  SequenceKv needy = open(*cache, 32);
  ASSERT_EQ(cache->reserve(needy, 32), Reserve::kDone);
  EXPECT_EQ(cache->match(waiting, waited_for), 32);
}

TEST(KvCache, WhatWasFoundButCutOffIsNotCountedAsRead) {
  auto cache = small_cache(8);
  const auto tokens = token_run(0, 60);
  SequenceKv first = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, first, tokens, 60));
  SequenceKv second = open(*cache, 64);
  EXPECT_EQ(cache->match(second, tokens), 48);
  cache->truncate(second, 20);
  ASSERT_TRUE(advance(*cache, second, tokens, 21));
  EXPECT_EQ(cache->stats().hit_tokens, 20);
}

TEST(KvCache, WhatAProducerGivesUpAnotherTakesOver) {
  auto cache = small_cache(16);
  const auto tokens = token_run(0, 60);
  SequenceKv producer = open(*cache, 64), follower = open(*cache, 64), third = open(*cache, 64);
  static_cast<void>(cache->match(producer, tokens));
  cache->claims().claim(producer, tokens);
  const auto name = cache->claims().awaited(follower, tokens);
  ASSERT_TRUE(name && cache->claims().is_pending(*name));
  ASSERT_TRUE(advance(*cache, producer, tokens, 20));
  cache->release(producer);
  EXPECT_FALSE(cache->claims().is_pending(*name));
  EXPECT_EQ(cache->claims().awaited(follower, tokens), std::nullopt);
  EXPECT_EQ(cache->match(follower, tokens), 16);
  cache->claims().claim(follower, tokens);
  EXPECT_TRUE(cache->claims().awaited(third, tokens).has_value());
  {
    const SequenceKv moved = std::move(follower);  // claims go along
    EXPECT_TRUE(cache->claims().awaited(third, tokens).has_value());
  }
  EXPECT_EQ(cache->claims().awaited(third, tokens), std::nullopt);
}

TEST(KvCache, SaltsKeepApart) {
  auto cache = small_cache(8);
  const auto tokens = token_run(0, 40);
  SequenceKv first = open(*cache, 64, "a");
  ASSERT_TRUE(advance(*cache, first, tokens, 40));
  SequenceKv second = open(*cache, 64, "b");
  EXPECT_EQ(cache->match(second, tokens), 0);
  SequenceKv third = open(*cache, 64, "a");
  EXPECT_EQ(cache->match(third, tokens), 32);
}

TEST(KvCache, ReserveIsAllOrNothing) {
  auto cache = small_cache(4);
  const auto tokens = token_run(0, 100);
  SequenceKv first = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, first, tokens, 20));
  SequenceKv second = open(*cache, 64);
  EXPECT_EQ(cache->reserve(second, 33), Reserve::kNoBlocks);
  expect_counts(*cache, 2, 0, 2);
  EXPECT_EQ(cache->reserve(second, 32), Reserve::kDone);
  expect_counts(*cache, 0, 0, 4);
  EXPECT_EQ(cache->reserve(first, 32), Reserve::kDone);  // room in its last block
  EXPECT_EQ(cache->reserve(first, 33), Reserve::kNoBlocks);
  expect_sound(*cache);
}

TEST(KvCache, EvictsTheEndOfTheOldestPrefixFirst) {
  auto cache = small_cache(4);
  const auto old_tokens = token_run(0, 33);
  const auto new_tokens = token_run(100, 33);
  {
    SequenceKv old_sequence = open(*cache, 64);
    ASSERT_TRUE(advance(*cache, old_sequence, old_tokens, 32));
  }
  {
    SequenceKv new_sequence = open(*cache, 64);
    ASSERT_TRUE(advance(*cache, new_sequence, new_tokens, 32));
  }
  expect_counts(*cache, 0, 4, 0);
  SequenceKv needy = open(*cache, 64);
  ASSERT_EQ(cache->reserve(needy, 16), Reserve::kDone);
  EXPECT_EQ(cache->stats().evicted_blocks, 1);
  expect_sound(*cache);
  SequenceKv old_again = open(*cache, 64);
  EXPECT_EQ(cache->match(old_again, old_tokens), 16);
  SequenceKv new_again = open(*cache, 64);
  EXPECT_EQ(cache->match(new_again, new_tokens), 32);
}

TEST(KvCache, BlockComputedTwiceIsKeptOnce) {
  auto cache = small_cache(8);
  const auto tokens = token_run(0, 40);
  SequenceKv first = open(*cache, 64);
  SequenceKv second = open(*cache, 64);
  ASSERT_EQ(cache->reserve(first, 40), Reserve::kDone);
  ASSERT_EQ(cache->reserve(second, 40), Reserve::kDone);
  testing::compute(*cache, first, tokens, 40);
  testing::compute(*cache, second, tokens, 40);
  expect_counts(*cache, 2, 0, 6);
  cache->commit(first, tokens, 40);
  cache->commit(second, tokens, 40);
  expect_counts(*cache, 4, 0, 4);
  EXPECT_EQ(cache->stats().merged_blocks, 2);
  EXPECT_EQ(first.blocks()[1], second.blocks()[1]);
  EXPECT_NE(first.blocks()[2], second.blocks()[2]);
  EXPECT_TRUE(states_are_right(*cache, second, tokens));
}

TEST(KvCache, ForkSharesAllAndTheFirstWriterCopies) {
  auto cache = small_cache(8);
  auto tokens = token_run(0, 64);
  SequenceKv parent = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, parent, tokens, 20));
  SequenceKv child = fork(*cache, parent, 64);
  expect_counts(*cache, 6, 0, 2);

  auto child_tokens = tokens;
  for (std::size_t p = 20; p < 64; ++p) child_tokens[p] = TokenId{7};
  ASSERT_TRUE(advance(*cache, child, child_tokens, 24));
  EXPECT_EQ(cache->stats().copied_blocks, 1);
  expect_counts(*cache, 5, 0, 3);
  ASSERT_TRUE(advance(*cache, parent, tokens, 40));
  EXPECT_EQ(cache->stats().copied_blocks, 1);  // the last one to hold the block writes in place
  EXPECT_TRUE(states_are_right(*cache, parent, tokens));
  EXPECT_TRUE(states_are_right(*cache, child, child_tokens));
  EXPECT_EQ(parent.blocks()[0], child.blocks()[0]);
}

TEST(KvCache, ForkInheritsTheSalt) {
  auto cache = small_cache(8);
  const auto tokens = token_run(0, 64);
  SequenceKv parent = open(*cache, 64, "tenant");
  ASSERT_TRUE(advance(*cache, parent, tokens, 20));
  SequenceKv child = fork(*cache, parent, 64);
  ASSERT_TRUE(advance(*cache, child, tokens, 40));
  SequenceKv same = open(*cache, 64, "tenant");
  EXPECT_EQ(cache->match(same, tokens), 32);
  SequenceKv other = open(*cache, 64);
  EXPECT_EQ(cache->match(other, tokens), 0);
}

// A match also names blocks that it does not find; a fork may go on differently from there.
TEST(KvCache, ForkOfAMissedPromptIsFoundByItsOwnTokens) {
  auto cache = small_cache(8);
  SequenceKv parent = open(*cache, 64);
  EXPECT_EQ(cache->match(parent, token_run(0, 40)), 0);
  SequenceKv child = fork(*cache, parent, 64);
  const auto child_tokens = token_run(500, 40);
  ASSERT_TRUE(advance(*cache, child, child_tokens, 40));
  SequenceKv reader = open(*cache, 64);
  EXPECT_EQ(cache->match(reader, child_tokens), 32);
}

TEST(KvCache, WritingIntoAPublishedBlockCopiesIt) {
  auto cache = small_cache(8);
  auto tokens = token_run(0, 40);
  SequenceKv sequence = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, sequence, tokens, 40));
  cache->truncate(sequence, 20);
  auto other_tokens = tokens;
  for (std::size_t p = 20; p < 40; ++p) other_tokens[p] = TokenId{5};
  ASSERT_TRUE(advance(*cache, sequence, other_tokens, 40));
  EXPECT_TRUE(states_are_right(*cache, sequence, other_tokens));

  SequenceKv reader = open(*cache, 64);
  EXPECT_EQ(cache->match(reader, tokens), 32);
  EXPECT_TRUE(states_are_right(*cache, reader, tokens));
  expect_sound(*cache);
}

// geometry.blocks_for(n) blocks are enough for a lone sequence of n tokens, also after it was truncated.
TEST(KvCache, LastBlockIsNotSpentOnACopy) {
  auto cache = small_cache(2);
  auto tokens = token_run(0, 32);
  SequenceKv sequence = open(*cache, 32);
  ASSERT_TRUE(advance(*cache, sequence, tokens, 32));
  for (std::size_t keep : {31U, 20U, 5U}) {
    cache->truncate(sequence, keep);
    for (std::size_t p = keep; p < 32; ++p) tokens[p] = TokenId{-static_cast<std::int32_t>(keep)};
    ASSERT_TRUE(advance(*cache, sequence, tokens, 32)) << keep;
    EXPECT_TRUE(states_are_right(*cache, sequence, tokens));
    expect_counts(*cache, 0, 0, 2);
  }
}

TEST(KvCache, ResetForgetsWhatNobodyUses) {
  auto cache = small_cache(4);
  const auto tokens = token_run(0, 40);
  SequenceKv sequence = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, sequence, tokens, 40));
  EXPECT_EQ(cache->reset(), Reset::kInUse);
  cache->release(sequence);
  expect_counts(*cache, 2, 2, 0);
  EXPECT_EQ(cache->reset(), Reset::kDone);
  expect_counts(*cache, 4, 0, 0);
  EXPECT_EQ(cache->match(sequence, tokens), 0);
}

TEST(KvCache, WithoutPrefixCachingNothingIsFound) {
  auto cache = small_cache(8, &hash_link, PrefixCaching::kOff);
  const auto tokens = token_run(0, 40);
  SequenceKv first = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, first, tokens, 40));
  SequenceKv second = open(*cache, 64);
  EXPECT_EQ(cache->match(second, tokens), 0);
  cache->release(first);
  expect_counts(*cache, 8, 0, 0);
}

TEST(KvCache, SequencesMayMove) {
  auto cache = small_cache(8);
  const auto tokens = token_run(0, 40);
  std::vector<SequenceKv> sequences;
  for (int i = 0; i < 4; ++i) {
    sequences.push_back(open(*cache, 64));
    cache->match(sequences.back(), tokens);
    ASSERT_TRUE(advance(*cache, sequences.back(), tokens, 40));
  }
  expect_sound(*cache);
  sequences.erase(sequences.begin());
  expect_sound(*cache);
  std::swap(sequences[0], sequences[2]);
  sequences[1] = std::move(sequences[2]);
  sequences.pop_back();
  expect_sound(*cache);
  EXPECT_TRUE(states_are_right(*cache, sequences[1], tokens));
  sequences.clear();
  expect_counts(*cache, 6, 2, 0);
}

TEST(KvCache, RefusesImpossibleSizes) {
  KvCacheOptions options{.geometry = testing::small_geometry(), .blocks = 0};
  EXPECT_NE(KvCache::create(options).error().message.find("at least one block"), std::string::npos);
  options.blocks = std::size_t{1} << 40;
  EXPECT_EQ(KvCache::create(options).error().kind, ErrorKind::kTooLarge);
  options.blocks = ~std::size_t{0};
  EXPECT_EQ(KvCache::create(options).error().kind, ErrorKind::kTooLarge);
}

TEST(KvCacheDeathTest, MisuseIsABug) {
  auto cache = small_cache(8);
  const auto tokens = token_run(0, 40);
  SequenceKv sequence = open(*cache, 64);
  EXPECT_DEATH(cache->commit(sequence, tokens, 1), "never reserved");
  ASSERT_TRUE(advance(*cache, sequence, tokens, 40));
  EXPECT_DEATH((void)cache->match(sequence, tokens), "starts a sequence");
  EXPECT_DEATH(cache->truncate(sequence, 41), "more than is computed");
  EXPECT_DEATH((void)cache->reserve(sequence, 39), "truncate first");
  cache->truncate(sequence, 20);
  EXPECT_DEATH(cache->commit(sequence, tokens, 21), "without reserve");
}

#ifndef NDEBUG
TEST(KvCacheDeathTest, TokensThatChangeUnderASequenceAreABug) {
  auto cache = small_cache(8);
  auto tokens = token_run(0, 60);
  SequenceKv sequence = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, sequence, tokens, 40));
  ASSERT_EQ(cache->reserve(sequence, 41), Reserve::kDone);
  tokens[31] = TokenId{-1};
  EXPECT_DEATH(cache->commit(sequence, tokens, 41), "that were committed before");
  tokens[31] = TokenId{31};
  cache->release(sequence);
  EXPECT_EQ(cache->match(sequence, tokens), 32);
  cache->release(sequence);
  tokens[16] = TokenId{-1};
  EXPECT_DEATH((void)cache->match(sequence, tokens), "that were looked up before");
}
#endif

}  // namespace
}  // namespace folio::kv
