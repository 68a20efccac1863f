// Random lives of many sequences over tiny pools, beside an oracle that says for every operation what must
// come out: hit lengths, answers of reserve, whom to wait for, block counts, which tables share which block,
// and what is lost in which order. K and V are stood in for by states that depend on all tokens before
// (kv_testing.h) and are read back through the tables after every operation, so a stale, lost or wrongly
// shared block shows at once. check_integrity() runs after every operation, too, and an observer's books are
// compared with what is there.
//
// To replay: RapidCheck prints its seed and a shrunk list of steps; the long run takes FOLIO_TEST_SEED.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <stdexcept>

#include "kv/kv_cache.h"
#include "kv/kv_mirror.h"
#include "kv/kv_oracle.h"
#include "kv/kv_testing.h"

namespace folio::kv::testing {

// One operation; numbers are taken modulo what makes sense at that moment, so every list of steps is valid.
struct Step {
  enum class Kind {
    kOpen,
    kMatch,
    kMatchWhole,  // Partial::kNo
    kAsk,         // blocks_to_start(), then touch()
    kAwait,
    kClaim,
    kAdvance,
    kReserve,
    kTruncate,
    kFork,
    kRelease,
    kRestart,  // reset() of one sequence
    kSwapOut,
    kSwapIn,
    kClose,
    kReset,
  };
  Kind kind;
  std::uint32_t which;    // sequence
  std::uint32_t amount;   // tokens
  std::uint32_t flavour;  // contents
};
constexpr int kStepKinds = static_cast<int>(Step::Kind::kReset) + 1;

std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << "{" << static_cast<int>(step.kind) << ", " << step.which << ", " << step.amount << ", "
             << step.flavour << "}";
}

namespace {

constexpr std::size_t kMaxBlocks = 5;  // of a sequence
constexpr std::size_t kMaxSequences = 6;
// Per pool size.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kLongRunSteps = 2'000;
#else
constexpr int kLongRunSteps = 10'000;
#endif

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

struct Setting {
  std::size_t blocks = 1;
  int geometry = 0;
  LinkHash hash = &hash_link;
  Eviction eviction = Eviction::kLru;
  PrefixCaching caching = PrefixCaching::kOn;

  // Only then is the oracle, which knows blocks by their contents, right about names.
  bool has_unique_names() const { return hash == &hash_link; }
};

// The cache and the oracle, given the same steps.
class Duel {
 public:
  explicit Duel(const Setting& setting)
      : setting_(setting),
        geometry_(small_geometry(setting.geometry)),
        max_tokens_(kMaxBlocks * geometry_.block_tokens()),
        cache_(KvCache::create({.geometry = geometry_,
                                .blocks = setting.blocks,
                                .prefix_caching = setting.caching,
                                .hash = setting.hash,
                                .eviction = setting.eviction,
                                .attention_share = kAttentionShare,
                                .swap_blocks = setting.blocks / 2})
                   .value()),
        oracle_({.blocks = setting.blocks,
                 .block_tokens = geometry_.block_tokens(),
                 .caching = setting.caching,
                 .eviction = setting.eviction,
                 .attention_share = kAttentionShare,
                 .swap_blocks = setting.blocks / 2}) {
    cache_->observe(mirror_);
  }

  void run(const Step& step) {
    if (step.kind == Step::Kind::kOpen || live_.empty()) {
      open(step);
    } else {
      apply(step, live_[step.which % live_.size()]);
    }
    compare();
  }

  KvStats stats() const { return cache_->stats(); }
  std::size_t waits() const { return waits_; }
  std::size_t resets() const { return mirror_.times_cleared; }

 private:
  static constexpr double kAttentionShare = 0.02;

  struct Life {
    SequenceKv kv;
    Oracle::Sequence* expected;
    Oracle::Tokens tokens;  // max_tokens_ of them, known from the start
    std::optional<SwappedKv> swapped = std::nullopt;
    Oracle::Swapped expected_swapped = {};
    std::optional<std::pair<BlockHash, Oracle::Content>> awaited = std::nullopt;  // the last answer
  };

  void open(const Step& step) {
    if (live_.size() == kMaxSequences) return;
    const std::string salt = step.flavour % 4 == 3 ? "tenant" : "";
    const SequenceId owner = next_owner();
    live_.push_back(
        {cache_->open(owner, salt, max_tokens_), oracle_.open(owner, salt), Oracle::Tokens(max_tokens_)});
    fill(live_.back().tokens, 0, step.flavour);
    match(live_.back(), prompt(live_.back(), step), Partial::kYes);
  }

  // Few different contents, so that prefixes often agree for a while: runs of a block and a half of one of
  // two tokens.
  void fill(Oracle::Tokens& tokens, std::size_t from, std::uint32_t flavour) const {
    for (std::size_t p = from; p < tokens.size(); ++p)
      tokens[p] = static_cast<TokenId>((flavour >> (p / (geometry_.block_tokens() * 3 / 2))) & 1);
  }

  Oracle::Tokens prompt(const Life& life, const Step& step) const {
    const auto length = static_cast<std::ptrdiff_t>(step.amount % (max_tokens_ + 1));
    return {life.tokens.begin(), life.tokens.begin() + length};
  }

  void match(Life& life, const Oracle::Tokens& tokens, Partial partial) {
    require(cache_->match(life.kv, tokens, Matching::kNew, partial) ==
                oracle_.match(*life.expected, tokens, partial),
            "another hit length");
  }

  // Exactly what a match without a part would take.
  void ask(Life& life, const Oracle::Tokens& tokens) {
    const std::size_t blocks = cache_->blocks_to_start(life.kv, tokens, tokens.size());
    require(blocks == oracle_.blocks_to_start(*life.expected, tokens, tokens.size()),
            "another number of blocks to start");
    const std::size_t before = cache_->stats().looked_up_blocks;
    cache_->touch(life.kv, tokens);
    require(cache_->stats().looked_up_blocks <= before + 1, "what was found is looked up again");
    oracle_.touch(*life.expected, tokens);
  }

  void await(Life& life, const Oracle::Tokens& tokens) {
    const auto name = cache_->claims().awaited(life.kv, tokens);
    const auto expected = oracle_.awaited(*life.expected, tokens);
    life.awaited.reset();
    if (!setting_.has_unique_names()) return;
    require(name.has_value() == expected.has_value(), "another answer to who waits");
    if (!name) return;
    require(cache_->claims().claimant(*name) == expected->second, "another claimant");
    life.awaited.emplace(*name, expected->first);
    ++waits_;
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

  void fork(const Life& parent, std::uint32_t flavour) {
    if (live_.size() == kMaxSequences) return;
    const SequenceId owner = next_owner();
    Life child{cache_->fork(parent.kv, owner, max_tokens_), oracle_.fork(*parent.expected, owner),
               parent.tokens};
    fill(child.tokens, child.kv.computed(), flavour);
    live_.push_back(std::move(child));
  }

  void restart(Life& life, std::size_t same_tokens, std::uint32_t flavour) {
    cache_->reset(life.kv, same_tokens);
    oracle_.truncate(*life.expected, 0);
    fill(life.tokens, same_tokens, flavour);
  }

  void swap_out(Life& life) {
    life.swapped = cache_->swap_out(life.kv);
    const auto expected = oracle_.swap_out(*life.expected);
    require(life.swapped.has_value() == expected.has_value(), "another answer to swapping out");
    if (expected) life.expected_swapped = *expected;
  }

  // What it computed before, as far as nobody else has done it by now.
  void swap_in(Life& life) {
    match(life, life.tokens, Partial::kNo);
    const std::size_t computed = life.swapped->computed();
    require(computed == life.expected_swapped.computed, "another length was swapped out");
    if (life.kv.computed() < computed && reserve(life, computed))
      require(cache_->swap_in(life.kv, life.tokens, *life.swapped) ==
                  oracle_.swap_in(*life.expected, life.tokens, life.expected_swapped),
              "another answer to swapping in");
    drop_swapped(life);
  }

  void drop_swapped(Life& life) {
    if (life.swapped) oracle_.drop(life.expected_swapped);
    life.swapped.reset();
  }

  void apply(const Step& step, Life& life) {
    using Kind = Step::Kind;
    const bool is_empty = life.kv.blocks().empty();
    if (life.swapped && step.kind != Kind::kSwapIn && step.kind != Kind::kClose && step.kind != Kind::kReset)
      return;  // it waits for its return
    const std::size_t further = life.kv.computed() + step.amount % (max_tokens_ - life.kv.computed() + 1);
    switch (step.kind) {
      case Kind::kOpen:
        break;  // done by run()
      case Kind::kMatch:
      case Kind::kMatchWhole:
        if (is_empty)
          match(life, prompt(life, step), step.kind == Kind::kMatch ? Partial::kYes : Partial::kNo);
        break;
      case Kind::kAsk:
        if (is_empty) ask(life, prompt(life, step));
        break;
      case Kind::kAwait:
        if (is_empty) await(life, prompt(life, step));
        break;
      case Kind::kClaim:
        cache_->claims().claim(life.kv, prompt(life, step));
        oracle_.claim(*life.expected, prompt(life, step));
        break;
      case Kind::kAdvance:
        advance(life, further);
        break;
      case Kind::kReserve:
        reserve(life, further);
        break;
      case Kind::kTruncate:
        truncate(life, step.amount % (life.kv.computed() + 1), step.flavour);
        break;
      case Kind::kFork:
        fork(life, step.flavour);
        break;
      case Kind::kRelease:
        cache_->release(life.kv);
        oracle_.truncate(*life.expected, 0);
        break;
      case Kind::kRestart:
        restart(life, step.amount % (max_tokens_ + 1), step.flavour);
        break;
      case Kind::kSwapOut:
        swap_out(life);
        break;
      case Kind::kSwapIn:
        if (life.swapped) swap_in(life);
        break;
      case Kind::kClose:
        drop_swapped(life);
        oracle_.close(life.expected);
        live_.erase(live_.begin() + (&life - live_.data()));
        break;
      case Kind::kReset: {
        const std::size_t before = mirror_.times_cleared;
        const bool done = cache_->reset() == Reset::kDone;
        require(done == oracle_.reset(), "another answer to reset");
        require(mirror_.times_cleared == before + (done ? 1 : 0), "observers were not told of a reset");
        break;
      }
    }
  }

  void compare() {
    const Status status = cache_->check_integrity();
    if (!status) throw std::runtime_error(status.error().message);
    const KvStats stats = cache_->stats();
    require(stats.free_blocks == oracle_.free_blocks(), "another number of free blocks");
    require(stats.cached_blocks == oracle_.cached_blocks(), "another number of cached blocks");
    require(stats.free_blocks + stats.cached_blocks + stats.in_use_blocks == stats.blocks,
            "blocks do not add up");
    require(stats.free_swap_blocks == oracle_.free_swap_blocks(), "another number of free swap blocks");
    compare_tables();
    compare_observer();
  }

  void compare_tables() const {
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
      if (life.awaited)
        require(cache_->claims().is_pending(life.awaited->first) == oracle_.is_pending(life.awaited->second),
                "another answer to whether a block is being computed");
    }
  }

  void compare_observer() {
    require(mirror_.problem.empty(), mirror_.problem.c_str());
    const auto lost = mirror_.take_lost();
    lost_ += lost.size();
    require(lost == oracle_.take_lost(), "other blocks were lost, or in another order");
    require(lost_ == cache_->stats().evicted_blocks, "losses were counted otherwise");
    require(mirror_.contents() == oracle_.published(), "an observer knows of other blocks");
  }

  Setting setting_;
  KvGeometry geometry_;
  std::size_t max_tokens_;
  Mirror mirror_;
  std::unique_ptr<KvCache> cache_;
  Oracle oracle_;
  std::vector<Life> live_;
  std::size_t waits_ = 0, lost_ = 0;
};

BlockHash always_the_same(BlockHash, std::span<const TokenId>) { return {}; }
BlockHash one_of_two(BlockHash, std::span<const TokenId> tokens) {
  return {Hash128{.low = static_cast<std::uint64_t>(raw(tokens.back()))}};
}

rc::Gen<Step> any_step() {
  return rc::gen::construct<Step>(
      rc::gen::map(rc::gen::inRange(0, kStepKinds), [](int kind) { return static_cast<Step::Kind>(kind); }),
      rc::gen::inRange<std::uint32_t>(0, kMaxSequences), rc::gen::inRange<std::uint32_t>(0, 1000),
      rc::gen::inRange<std::uint32_t>(0, 16));
}

void holds_for(const Setting& given) {
  EXPECT_TRUE(rc::check("cache and oracle agree", [given] {
    Setting setting = given;
    setting.blocks = *rc::gen::inRange<std::size_t>(1, 14);
    setting.geometry = *rc::gen::inRange(0, kGeometries);
    const auto steps = *rc::gen::scale(2.0, rc::gen::container<std::vector<Step>>(any_step()));
    Duel duel(setting);
    for (const Step& step : steps) duel.run(step);
  }));
}

TEST(KvCacheProperty, AgreesWithTheOracle) { holds_for({}); }
TEST(KvCacheProperty, AgreesWhenAllHashesCollide) { holds_for({.hash = &always_the_same}); }
TEST(KvCacheProperty, AgreesWhenManyHashesCollide) { holds_for({.hash = &one_of_two}); }
TEST(KvCacheProperty, AgreesOnWhatIsCheapestToLose) { holds_for({.eviction = Eviction::kCost}); }
TEST(KvCacheProperty, AgreesWithoutPrefixCaching) { holds_for({.caching = PrefixCaching::kOff}); }

// Long lives reach states that short lists rarely do; the counts at the end say that they were reached.
TEST(KvCacheProperty, AgreesOverALongRun) {
  const char* given = std::getenv("FOLIO_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("FOLIO_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  KvStats sum;
  std::size_t waits = 0, resets = 0;
  for (std::size_t blocks = 1; blocks <= 20; ++blocks) {
    Duel duel({.blocks = blocks,
               .geometry = static_cast<int>(blocks % kGeometries),
               .eviction = blocks % 2 == 0 ? Eviction::kCost : Eviction::kLru});
    for (int i = 0; i < kLongRunSteps; ++i) {
      const std::uint64_t bits = random();
      const int often = static_cast<int>(bits / 97 % (kStepKinds - 1));  // resets are rare
      const auto kind = bits % 97 == 0 ? Step::Kind::kReset : static_cast<Step::Kind>(often);
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
    sum.swapped_in_blocks += stats.swapped_in_blocks;
    waits += duel.waits();
    resets += duel.resets();
  }
  EXPECT_GT(sum.hit_tokens, kLongRunSteps);
  EXPECT_GT(sum.evicted_blocks, kLongRunSteps / 10);
  EXPECT_GT(sum.copied_blocks, kLongRunSteps / 10);
  EXPECT_GT(sum.merged_blocks, kLongRunSteps / 100);
  EXPECT_GT(sum.swapped_in_blocks, kLongRunSteps / 100);
  EXPECT_GT(waits, kLongRunSteps / 100);
  EXPECT_GT(resets, kLongRunSteps / 1000);
  std::cout << "seed " << seed << ": " << sum.hit_tokens << " tokens hit, blocks evicted "
            << sum.evicted_blocks << ", copied " << sum.copied_blocks << ", merged " << sum.merged_blocks
            << ", swapped in " << sum.swapped_in_blocks << "; " << waits << " waits, " << resets
            << " resets\n";
}

}  // namespace
}  // namespace folio::kv::testing
