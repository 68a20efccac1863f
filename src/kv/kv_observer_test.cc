// What observers hear. That it is complete, in random lives: kv_cache_property_test.cc.
#include "kv/kv_observer.h"

#include <gtest/gtest.h>

#include <tuple>

#include "kv/kv_mirror.h"
#include "kv/kv_testing.h"

namespace folio::kv {
namespace {

using testing::advance;
using testing::Mirror;
using testing::open;
using testing::small_cache;
using testing::token_run;

// What a router would be told of.
struct Event {
  char what;  // p, l, c
  BlockHash name, parent;
  std::vector<TokenId> tokens;
};
struct Log final : KvObserver {
  void published(BlockId, const PrefixKey& key) override {
    events.push_back({'p', key.hash, key.parent_hash, {key.tokens.begin(), key.tokens.end()}});
  }
  void lost(BlockId, BlockHash name) override { events.push_back({'l', name, {}, {}}); }
  void cleared() override { events.push_back({'c', {}, {}, {}}); }
  std::vector<Event> events;
};

TEST(KvObserver, HearsWhatIsPublishedWithItsNameParentAndTokens) {
  auto cache = small_cache(4);
  Log log;
  cache->observe(log);
  const auto tokens = token_run(0, 40);
  {
    SequenceKv sequence = open(*cache, 64);
    ASSERT_TRUE(advance(*cache, sequence, tokens, 40));
  }
  ASSERT_EQ(log.events.size(), 2u);
  const auto& [first, second] = std::tie(log.events[0], log.events[1]);
  EXPECT_EQ(first.name, hash_link(first.parent, std::span(tokens).first(16)));
  EXPECT_EQ(second.parent, first.name);
  EXPECT_EQ(second.name, hash_link(first.name, std::span(tokens).subspan(16, 16)));
  EXPECT_EQ(second.tokens, token_run(16, 16));
}

TEST(KvObserver, HearsWhatIsLostTheEndFirst) {
  auto cache = small_cache(4);
  {
    SequenceKv sequence = open(*cache, 64);
    ASSERT_TRUE(advance(*cache, sequence, token_run(0, 40), 40));
  }
  Log log;
  cache->observe(log);
  SequenceKv needy = open(*cache, 64);
  ASSERT_EQ(cache->reserve(needy, 64), Reserve::kDone);
  ASSERT_EQ(log.events.size(), 2u);
  EXPECT_EQ(log.events[0].what, 'l');
  EXPECT_EQ(log.events[0].name, hash_link(log.events[1].name, token_run(16, 16)));
}

TEST(KvObserver, HearsThatAllIsForgotten) {
  auto cache = small_cache(4);
  Log log;
  SequenceKv sequence = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, sequence, token_run(0, 40), 40));
  cache->observe(log);
  EXPECT_EQ(cache->reset(), Reset::kInUse);
  EXPECT_TRUE(log.events.empty());
  cache->release(sequence);
  EXPECT_EQ(cache->reset(), Reset::kDone);
  ASSERT_EQ(log.events.size(), 1u);
  EXPECT_EQ(log.events[0].what, 'c');
}

// Each of several hears all; a block is used by whoever goes on from it, or copies a part of it.
TEST(KvObserver, EachHearsOfUses) {
  auto cache = small_cache(12);
  Mirror one, two;
  cache->observe(one);
  cache->observe(two);
  const auto tokens = token_run(0, 40);
  SequenceKv first = open(*cache, 64);
  ASSERT_TRUE(advance(*cache, first, tokens, 40));
  SequenceKv second = open(*cache, 64);
  EXPECT_EQ(cache->match(second, token_run(0, 20)), 19);  // a block, and a part of the next
  EXPECT_EQ(one.uses, 0u) << "it may go away again";
  ASSERT_TRUE(advance(*cache, second, tokens, 20));
  for (const Mirror* mirror : {&one, &two}) {
    EXPECT_EQ(mirror->uses, 2u);
    EXPECT_EQ(mirror->contents().size(), 2u);
    EXPECT_EQ(mirror->problem, "");
  }
}

}  // namespace
}  // namespace folio::kv
