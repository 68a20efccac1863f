// The scheduler's questions, answered by a cache: what is found, what waits, and at which cost.
#include "engine/cache_blocks.h"

#include <gtest/gtest.h>

namespace folio::engine {
namespace {

using scheduler::Opening;

constexpr std::size_t kBlockTokens = 16;

class CacheBlocksTest : public ::testing::Test {
 protected:
  // Fewer than all blocks are obtainable as long as others hold some.
  static constexpr std::size_t kBlocks = 64;

  static std::vector<TokenId> tokens(std::int32_t first, std::size_t count) {
    std::vector<TokenId> ids(count);
    for (std::size_t i = 0; i < count; ++i)
      ids[i] = static_cast<TokenId>(first + static_cast<std::int32_t>(i));
    return ids;
  }

  static std::unique_ptr<kv::KvCache> cache_of(std::size_t blocks) {
    const auto geometry = kv::KvGeometry::create({.layers = 1, .kv_heads = 1, .key_dim = 2, .value_dim = 2});
    return kv::KvCache::create({.geometry = *geometry, .blocks = blocks, .swap_blocks = 8}).value();
  }

  Sequence& add(std::uint64_t id, std::vector<TokenId> prompt) {
    auto request = std::make_shared<GenerationRequest>();
    request->prompt = std::move(prompt);
    Sequence& s =
        sequences.add(std::make_unique<Sequence>(Choice{.job = SequenceId{id}}, std::move(request), tokenizer,
                                                 std::make_shared<std::atomic<bool>>(false)));
    s.max_length = s.tokens.size() + 16;
    return s;
  }
  // As the engine does when rows were computed.
  void compute(Sequence& s, std::size_t upto) {
    ASSERT_TRUE(blocks.reserve(s.id, upto));
    cache->commit(*s.kv, s.tokens, upto);
    s.began = true;
  }
  std::uint64_t look_ups() {
    const std::uint64_t now = cache->stats().looked_up_blocks;
    return now - std::exchange(looked_up, now);
  }
  void TearDown() override {
    const Status sound = cache->check_integrity();
    EXPECT_TRUE(sound) << sound.error().message;
  }

  text::Tokenizer tokenizer = text::Tokenizer::ids_only(32);
  scheduler::FixedCost cost{scheduler::StepRates{.fixed_ms = 1, .linear_ms = 1, .attention_ms = 0}};
  std::unique_ptr<kv::KvCache> cache = cache_of(kBlocks);
  SequenceTable sequences;
  CacheBlocks blocks{*cache, sequences, cost};
  std::uint64_t looked_up = 0;
};

// A long prompt that is known for the most part waits for a hundred steps, while another grows into the room
// of what nobody waits for.
TEST_F(CacheBlocksTest, WhoWaitsForRoomLooksUpOnceAndPinsNothing) {
  for (std::uint64_t id : {1, 2}) {
    Sequence& before = add(id, tokens(static_cast<std::int32_t>(id) * 1000, 30 * kBlockTokens));
    ASSERT_EQ(blocks.open(before.id, 0).answer, Opening::Answer::kReady);
    compute(before, before.tokens.size());
    cache->release(*before.kv);
  }
  Sequence& running = add(3, tokens(5000, 30 * kBlockTokens));
  ASSERT_EQ(blocks.open(running.id, 0).answer, Opening::Answer::kReady);
  Sequence& waiting = add(4, tokens(1000, 32 * kBlockTokens));  // the blocks released first
  look_ups();
  for (std::size_t step = 0; step < 100; ++step) {
    if (step % 4 == 0) compute(running, (step / 4 + 1) * kBlockTokens);
    EXPECT_EQ(blocks.producer_of(waiting.id), std::nullopt);
    ASSERT_EQ(blocks.open(waiting.id, 33).answer, Opening::Answer::kNoRoom);
    EXPECT_LE(look_ups(), step == 0 ? 34u : 3u) << "step " << step;
    EXPECT_EQ(cache->stats().in_use_blocks, running.kv->blocks().size());
  }
  EXPECT_GT(cache->stats().evicted_blocks, 20u);
  const Opening opening = blocks.open(waiting.id, 0);
  EXPECT_EQ(opening.answer, Opening::Answer::kReady);
  EXPECT_EQ(opening.computed, 30 * kBlockTokens) << "it was looked at last, so it was lost last";
  EXPECT_EQ(waiting.stats.cached_tokens, 30 * kBlockTokens);
}

TEST_F(CacheBlocksTest, WhoSharesAPrefixWaitsForWhoComputesIt) {
  Sequence& first = add(1, tokens(0, 100));
  Sequence& second = add(2, tokens(0, 90));
  EXPECT_EQ(blocks.producer_of(first.id), std::nullopt);
  ASSERT_EQ(blocks.open(first.id, 0).answer, Opening::Answer::kReady);
  EXPECT_EQ(blocks.producer_of(second.id), first.id);
  compute(first, 60);
  EXPECT_EQ(blocks.producer_of(second.id), first.id);
  compute(first, 100);
  EXPECT_EQ(blocks.producer_of(second.id), std::nullopt);
  EXPECT_EQ(blocks.open(second.id, 0).computed, 89u);
}

// A part of a block would need a copy, for which an exactly full pool has no room.
TEST_F(CacheBlocksTest, APartOfABlockIsNotTakenWhereOnlyWholeOnesFit) {
  const auto small = cache_of(4);
  CacheBlocks four(*small, sequences, cost);
  Sequence& before = add(1, tokens(0, 32));
  ASSERT_EQ(four.open(before.id, 0).answer, Opening::Answer::kReady);
  ASSERT_TRUE(four.reserve(before.id, 32));
  small->commit(*before.kv, before.tokens, 32);
  small->release(*before.kv);

  std::vector<TokenId> prompt = tokens(0, 64);
  prompt[25] = TokenId{-1};
  Sequence& second = add(2, prompt);
  EXPECT_EQ(four.open(second.id, 0).computed, 16u);
  EXPECT_TRUE(four.reserve(second.id, 64));
  before.kv.reset();
  second.kv.reset();
}

}  // namespace
}  // namespace folio::engine
