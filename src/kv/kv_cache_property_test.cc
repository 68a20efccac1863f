// Random lives of many sequences over tiny pools, beside an oracle that says for every operation what must
// come out: hit lengths, answers of reserve, block counts, and which tables share which block. K and V are
// stood in for by states that depend on all tokens before (kv_testing.h) and are read back through the tables
// after every operation, so a stale, lost or wrongly shared block shows at once. check_integrity() runs after
// every operation, too.
//
// To replay: RapidCheck prints its seed and a shrunk list of steps; the long run takes FOLIO_TEST_SEED.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "kv/kv_cache.h"
#include "kv/kv_oracle.h"
#include "kv/kv_testing.h"

namespace folio::kv::testing {

// One operation; numbers are taken modulo what makes sense at that moment, so every list of steps is valid.
struct Step {
  enum class Kind { kOpen, kMatch, kAdvance, kReserve, kTruncate, kFork, kRelease, kClose, kReset };
  Kind kind;
  std::uint32_t which;    // sequence
  std::uint32_t amount;   // tokens
  std::uint32_t flavour;  // contents
};
constexpr int kStepKinds = 9;

std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << "{" << static_cast<int>(step.kind) << ", " << step.which << ", " << step.amount << ", "
             << step.flavour << "}";
}

namespace {

constexpr std::size_t kMaxTokens = 5 * kBlockTokens;
constexpr std::size_t kMaxSequences = 6;
constexpr int kLongRunSteps = 10'000;  // per pool size

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

// The cache and the oracle, given the same steps.
class Duel {
 public:
  Duel(std::size_t blocks, LinkHash hash)
      : cache_(small_cache(blocks, hash)), oracle_(blocks, kBlockTokens) {}

  void run(const Step& step) {
    if (step.kind == Step::Kind::kOpen || live_.empty()) {
      open(step);
    } else {
      apply(step, live_[step.which % live_.size()]);
    }
    compare();
  }

  KvStats stats() const { return cache_->stats(); }

 private:
  struct Life {
    SequenceKv kv;
    Oracle::Sequence* expected;
    Oracle::Tokens tokens;  // kMaxTokens of them, known from the start
  };

  void open(const Step& step) {
    if (live_.size() == kMaxSequences) return;
    const std::string salt = step.flavour % 4 == 3 ? "tenant" : "";
    live_.push_back({cache_->open(salt, kMaxTokens), oracle_.open(salt), Oracle::Tokens(kMaxTokens)});
    fill(live_.back().tokens, 0, step.flavour);
    match(live_.back(), step.amount);
  }

  // Few different contents, so that prefixes often agree for a while: runs of a block and a half of one of
  // two tokens.
  static void fill(Oracle::Tokens& tokens, std::size_t from, std::uint32_t flavour) {
    for (std::size_t p = from; p < tokens.size(); ++p)
      tokens[p] = static_cast<TokenId>((flavour >> (p / (kBlockTokens * 3 / 2))) & 1);
  }

  void match(Life& life, std::uint32_t amount) {
    const Oracle::Tokens prompt(life.tokens.begin(), life.tokens.begin() + amount % (kMaxTokens + 1));
    require(cache_->match(life.kv, prompt) == oracle_.match(*life.expected, prompt), "another hit length");
  }

  bool reserve(Life& life, std::size_t upto) {
    const bool granted = cache_->reserve(life.kv, upto) == Reserve::kDone;
    require(granted == oracle_.reserve(*life.expected, upto), "another answer to reserve");
    return granted;
  }

  void advance(Life& life, std::size_t upto) {
    if (!reserve(life, upto)) return;
    compute(*cache_, life.kv, life.tokens, upto);
    cache_->commit(life.kv, life.tokens, upto);
    oracle_.commit(*life.expected, life.tokens, upto);
  }

  void truncate(Life& life, std::size_t tokens, std::uint32_t flavour) {
    cache_->truncate(life.kv, tokens);
    oracle_.truncate(*life.expected, tokens);
    fill(life.tokens, tokens, flavour);
  }

  void apply(const Step& step, Life& life) {
    const std::size_t further = life.kv.computed() + step.amount % (kMaxTokens - life.kv.computed() + 1);
    switch (step.kind) {
      case Step::Kind::kOpen:
        break;  // done by run()
      case Step::Kind::kMatch:
        if (life.kv.blocks().empty()) match(life, step.amount);
        break;
      case Step::Kind::kAdvance:
        advance(life, further);
        break;
      case Step::Kind::kReserve:
        reserve(life, further);
        break;
      case Step::Kind::kTruncate:
        truncate(life, step.amount % (life.kv.computed() + 1), step.flavour);
        break;
      case Step::Kind::kFork: {
        if (live_.size() == kMaxSequences) break;
        Life child{cache_->fork(life.kv, kMaxTokens), oracle_.fork(*life.expected), life.tokens};
        fill(child.tokens, child.kv.computed(), step.flavour);
        live_.push_back(std::move(child));
        break;
      }
      case Step::Kind::kRelease:
        cache_->release(life.kv);
        oracle_.truncate(*life.expected, 0);
        break;
      case Step::Kind::kClose:
        oracle_.close(life.expected);
        live_.erase(live_.begin() + (&life - live_.data()));
        break;
      case Step::Kind::kReset:
        require((cache_->reset() == Reset::kDone) == oracle_.reset(), "another answer to reset");
        break;
    }
  }

  void compare() const {
    const Status status = cache_->check_integrity();
    if (!status) throw std::runtime_error(status.error().message);
    const KvStats stats = cache_->stats();
    require(stats.free_blocks == oracle_.free_blocks(), "another number of free blocks");
    require(stats.cached_blocks == oracle_.cached_blocks(), "another number of cached blocks");
    require(stats.free_blocks + stats.cached_blocks + stats.in_use_blocks == stats.blocks,
            "blocks do not add up");

    std::map<const Oracle::Block*, BlockId> ids;  // tables share a block exactly where the oracle's do
    std::set<BlockId> used;
    for (const Life& life : live_) {
      require(life.kv.computed() == life.expected->computed, "another computed length");
      require(life.kv.published_blocks() == life.expected->published, "another published length");
      require(life.kv.blocks().size() == life.expected->table.size(), "another table length");
      for (std::size_t i = 0; i < life.kv.blocks().size(); ++i) {
        const auto [entry, is_new] = ids.try_emplace(life.expected->table[i].get(), life.kv.blocks()[i]);
        require(entry->second == life.kv.blocks()[i], "two blocks where one should be shared");
        require(!is_new || used.insert(entry->second).second, "one block where two should be");
      }
      require(states_are_right(*cache_, life.kv, life.tokens), "a table reads what its tokens did not write");
    }
  }

  std::unique_ptr<KvCache> cache_;
  Oracle oracle_;
  std::vector<Life> live_;
};

BlockHash always_the_same(BlockHash, std::span<const TokenId>) { return {}; }
BlockHash one_of_two(BlockHash, std::span<const TokenId> tokens) {
  return {Hash128{.low = static_cast<std::uint64_t>(raw(tokens.back()))}};
}

rc::Gen<Step> any_step() {
  return rc::gen::construct<Step>(
      rc::gen::map(rc::gen::inRange(0, kStepKinds), [](int kind) { return static_cast<Step::Kind>(kind); }),
      rc::gen::inRange<std::uint32_t>(0, kMaxSequences), rc::gen::inRange<std::uint32_t>(0, 4 * kMaxTokens),
      rc::gen::inRange<std::uint32_t>(0, 16));
}

void holds_for(LinkHash hash) {
  EXPECT_TRUE(rc::check("cache and oracle agree", [hash] {
    const auto blocks = *rc::gen::inRange<std::size_t>(1, 14);
    const auto steps = *rc::gen::scale(2.0, rc::gen::container<std::vector<Step>>(any_step()));
    Duel duel(blocks, hash);
    for (const Step& step : steps) duel.run(step);
  }));
}

TEST(KvCacheProperty, AgreesWithTheOracle) { holds_for(&hash_link); }
TEST(KvCacheProperty, AgreesWhenAllHashesCollide) { holds_for(&always_the_same); }
TEST(KvCacheProperty, AgreesWhenManyHashesCollide) { holds_for(&one_of_two); }

// Long lives reach states that short lists rarely do; the counts at the end say that they were reached.
TEST(KvCacheProperty, AgreesOverALongRun) {
  const char* given = std::getenv("FOLIO_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("FOLIO_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  KvStats sum;
  for (std::size_t blocks = 1; blocks <= 20; ++blocks) {
    Duel duel(blocks, &hash_link);
    for (int i = 0; i < kLongRunSteps; ++i) {
      const std::uint64_t bits = random();
      const auto kind = static_cast<Step::Kind>(bits % 97 == 0 ? 8 : bits / 97 % 8);  // resets are rare
      try {
        duel.run({.kind = kind,
                  .which = static_cast<std::uint32_t>(bits >> 16 & 0xFF),
                  .amount = static_cast<std::uint32_t>(bits >> 24 & 0xFFFF),
                  .flavour = static_cast<std::uint32_t>(bits >> 40 & 0xF)});
      } catch (const std::exception& error) {
        FAIL() << error.what() << " (" << blocks << " blocks, step " << i << ")";
      }
    }
    const KvStats stats = duel.stats();
    sum.hit_tokens += stats.hit_tokens;
    sum.evicted_blocks += stats.evicted_blocks;
    sum.copied_blocks += stats.copied_blocks;
    sum.merged_blocks += stats.merged_blocks;
  }
  EXPECT_GT(sum.hit_tokens, 1000);
  EXPECT_GT(sum.evicted_blocks, 1000);
  EXPECT_GT(sum.copied_blocks, 1000);
  EXPECT_GT(sum.merged_blocks, 100);
  std::cout << "seed " << seed << ": " << sum.hit_tokens << " tokens hit, blocks evicted "
            << sum.evicted_blocks << ", copied " << sum.copied_blocks << ", merged " << sum.merged_blocks
            << "\n";
}

}  // namespace
}  // namespace folio::kv::testing
