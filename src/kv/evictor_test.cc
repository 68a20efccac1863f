// The orders of eviction: what goes first, and that no order ever strands a block without its parent.
#include "kv/eviction.h"

#include <gtest/gtest.h>

#include <random>

#include "kv/kv_testing.h"

namespace folio::kv {
namespace {

using testing::kBlockTokens;
using testing::token_run;

BlockId id(std::uint32_t number) { return BlockId{number}; }

// A block of new contents that were found `uses` times, and that nobody pins any more.
void cache(Evictor& evictor, BlockId block, const BlockWorth& worth = {}, std::uint32_t uses = 0) {
  evictor.keep(block, worth);
  for (std::uint32_t use = 0; use < uses; ++use) evictor.used(block);
  evictor.add(block);
}

TEST(Evictor, LruGoesByAge) {
  const auto evictor = make_evictor(Eviction::kLru, 4, 0);
  for (std::uint32_t block : {2u, 0u, 3u}) cache(*evictor, id(block), {}, block);
  evictor->remove(id(2));
  evictor->add(id(2));
  EXPECT_EQ(evictor->order(), (std::vector{id(0), id(3), id(2)}));
  EXPECT_EQ(evictor->first(), id(0));
}

TEST(Evictor, CostKeepsWhatIsDearAndUsedButNotForEver) {
  const auto evictor = make_evictor(Eviction::kCost, 8, 0.01);
  cache(*evictor, id(0), {}, 3);                 // 4
  cache(*evictor, id(1));                        // 1
  cache(*evictor, id(2), {.first_token = 200});  // 3
  cache(*evictor, id(3));                        // 1, later
  EXPECT_EQ(evictor->order(), (std::vector{id(1), id(3), id(2), id(0)}));
  std::vector<BlockId> gone;
  for (std::uint32_t block = 4; block < 40;
       ++block) {  // newcomers of cost 1, in the place of those that went
    const BlockId victim = evictor->first();
    gone.push_back(victim);
    evictor->remove(victim);
    evictor->forget(victim);
    cache(*evictor, victim);
    if (victim == id(0)) break;
  }
  EXPECT_EQ(gone.back(), id(0));  // four times as dear: it outlives several rounds, then goes
  EXPECT_GT(gone.size(), 6u);
}

TEST(Evictor, AParentNeverGoesBeforeItsChildren) {
  const auto evictor = make_evictor(Eviction::kCost, 4, 0);
  evictor->keep(id(0), {});
  cache(*evictor, id(1), {.parent = id(0)}, 9);
  evictor->add(id(0));
  EXPECT_EQ(evictor->order(), (std::vector{id(1), id(0)}));
}

// Random lives on a cache with the given evictor; integrity (which includes the order) after each operation.
void live(Eviction eviction, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  auto cache = KvCache::create({.geometry = testing::small_geometry(),
                                .blocks = 6 + random() % 20,
                                .eviction = eviction,
                                .attention_share = 0.05,
                                .swap_blocks = 6})
                   .value();
  struct Open {
    SequenceKv kv;
    std::vector<TokenId> tokens;
    std::optional<SwappedKv> swapped;
  };
  std::vector<Open> open;
  for (int step = 0; step < 2000; ++step) {
    const std::size_t which = open.empty() ? 0 : random() % open.size();
    const auto dice = random() % 10;
    if (open.empty() || (dice < 3 && open.size() < 4)) {
      auto tokens = token_run(0, 5 * kBlockTokens);
      for (std::size_t p = random() % 3 * 20; p < tokens.size(); ++p)
        tokens[p] = static_cast<TokenId>(1000 * (random() % 2) + p);
      open.push_back({testing::open(*cache, 5 * kBlockTokens), tokens, std::nullopt});
      static_cast<void>(cache->match(open.back().kv, open.back().tokens));
    } else if (dice < 7) {
      Open& o = open[which];
      testing::advance(*cache, o.kv, o.tokens,
                       o.kv.computed() + random() % (o.tokens.size() - o.kv.computed() + 1));
    } else if (dice < 8 && !open[which].swapped) {
      Open& o = open[which];
      const std::size_t computed = o.kv.computed();
      o.swapped = cache->swap_out(o.kv);
      if (o.swapped) {
        EXPECT_EQ(o.swapped->computed(), computed);
        static_cast<void>(cache->match(o.kv, o.tokens, Matching::kResume, Partial::kNo));
        if (o.kv.computed() <= computed && cache->reserve(o.kv, computed) == Reserve::kDone &&
            cache->swap_in(o.kv, o.tokens, *o.swapped)) {
          EXPECT_EQ(o.kv.computed(), computed);
        }
        o.swapped.reset();
      }
    } else {
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
    }
    const Status status = cache->check_integrity();
    ASSERT_TRUE(status.has_value()) << status.error().message << ", seed " << seed << ", step " << step;
    for (const Open& o : open)
      ASSERT_TRUE(testing::states_are_right(*cache, o.kv, o.tokens)) << "seed " << seed << ", step " << step;
  }
  EXPECT_EQ(cache->stats().free_swap_blocks, 6u);
  EXPECT_GT(cache->stats().evicted_blocks, 0u);
  EXPECT_GT(cache->stats().swapped_in_blocks, 0u);
}

TEST(Evictor, NoOrderStrandsABlock) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    live(Eviction::kLru, seed);
    live(Eviction::kCost, seed);
  }
}

// A system prompt that many use, between floods of prompts that nobody sees again.
TEST(Evictor, CostKeepsASharedPromptThroughAFlood) {
  const auto hits = [](Eviction eviction) {
    auto cache = KvCache::create({.geometry = testing::small_geometry(),
                                  .blocks = 20,
                                  .eviction = eviction,
                                  .attention_share = 0.001})
                     .value();
    const auto run = [&](const std::vector<TokenId>& tokens) {
      SequenceKv sequence = testing::open(*cache, tokens.size());
      static_cast<void>(cache->match(sequence, tokens));
      testing::advance(*cache, sequence, tokens, tokens.size());
    };
    for (std::int32_t round = 0; round < 20; ++round) {
      for (int user = 0; user < 3; ++user) {
        auto tokens = token_run(0, 6 * kBlockTokens);
        tokens[80] = TokenId{5000 + round * 10 + user};
        run(tokens);
      }
      for (std::int32_t other = 0; other < 6; ++other)
        run(token_run(100'000 + 1000 * (round * 8 + other), 60));
    }
    return cache->stats().hit_tokens;
  };
  EXPECT_GT(static_cast<double>(hits(Eviction::kCost)), 1.2 * static_cast<double>(hits(Eviction::kLru)));
}

// The same through the cache: it is the blocks lost that move the clock.
TEST(Evictor, ADearBlockOutlivesAFloodButNotEveryFlood) {
  const auto found_after = [](Eviction eviction, std::int32_t strangers) {
    auto cache =
        KvCache::create({.geometry = testing::small_geometry(), .blocks = 8, .eviction = eviction}).value();
    const auto run = [&](const std::vector<TokenId>& tokens) {
      SequenceKv sequence = testing::open(*cache, tokens.size());
      const std::size_t found = cache->match(sequence, tokens);
      testing::advance(*cache, sequence, tokens, tokens.size());
      return found;
    };
    const auto dear = token_run(0, kBlockTokens + 1);
    for (int use = 0; use < 6; ++use) run(dear);
    for (std::int32_t stranger = 1; stranger <= strangers; ++stranger)
      run(token_run(1000 * stranger, kBlockTokens + 1));
    return run(dear);
  };
  EXPECT_EQ(found_after(Eviction::kLru, 20), 0u);
  EXPECT_EQ(found_after(Eviction::kCost, 20), kBlockTokens);
  EXPECT_EQ(found_after(Eviction::kCost, 100), 0u);
}

}  // namespace
}  // namespace folio::kv
