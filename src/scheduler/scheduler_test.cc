// What holds for every plan, over random lives: budgets, seats, blocks, rank and progress. The decisions
// themselves are in tests/scenarios/.
#include "scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "scheduler/calibrated_cost.h"
#include "scheduler/scheduler_testing.h"

namespace folio::scheduler::testing {
namespace {

constexpr StepRates kRates{.fixed_ms = 2, .linear_ms = 0.5, .attention_ms = 0.001};

// A scheduler with counted blocks, and sequences that live as an engine would let them.
class Lives {
 public:
  Lives(const SchedulerOptions& options, std::size_t blocks)
      : cost_(kRates), blocks_(blocks), scheduler_(options, cost_) {}

  void arrive(SequenceSpec spec, std::size_t generate, const std::string& prefix = "",
              std::size_t prefix_tokens = 0) {
    blocks_.add(spec.id, spec.known, prefix, prefix_tokens);
    scheduler_.add(spec);
    lives_[spec.id] = {.spec = spec, .left = generate};
  }
  void cancel(SequenceId id) {
    if (lives_.erase(id) == 0) return;
    scheduler_.remove(id);
    blocks_.remove(id);
  }

  // One step; the plan it followed.
  StepPlan step() {
    const StepPlan plan = scheduler_.plan(blocks_);
    for (SequenceId id : plan.preempted) lives_.at(id).computed = 0;
    for (const PlannedRows& item : plan.items) {
      Life& life = lives_.at(item.sequence);
      life.computed = item.end;
      if (life.computed == life.spec.known) {
        ++life.spec.known;
        --life.left;
      }
      blocks_.advance(item.sequence, life.computed, life.spec.known);
      if (life.left == 0) {
        done_.push_back(item.sequence);
        cancel(item.sequence);
      } else {
        scheduler_.advance(item.sequence, life.computed, life.spec.known);
      }
    }
    return plan;
  }

  struct Life {
    SequenceSpec spec;
    std::size_t left;
    std::size_t computed = 0;
  };
  std::map<SequenceId, Life> lives_;
  std::vector<SequenceId> done_;
  FixedCost cost_;
  CountedBlocks blocks_;
  Scheduler scheduler_;
};

SequenceId id(std::uint64_t number) { return SequenceId{number}; }

SchedulerOptions random_options(std::mt19937_64& random) {
  SchedulerOptions options{.max_num_seqs = 1 + random() % 6};
  options.max_num_batched_tokens = options.max_num_seqs + random() % 60;
  options.max_outputs = options.max_num_seqs + random() % 4;
  options.long_prefill_token_threshold = random() % 3 == 0 ? 5 + random() % 20 : 0;
  options.policy = random() % 2 == 0 ? Policy::kFcfs : Policy::kPriority;
  options.fairness = random() % 3 == 0 ? Fairness::kTenants : Fairness::kNone;
  options.step_budget_ms = random() % 2 == 0 ? 12 : 0;
  return options;
}

// The first item of each sequence, counting its rows; every promise of a plan that needs no past.
void expect_sound(const StepPlan& plan, const Lives& lives, const SchedulerOptions& options) {
  std::size_t rows = 0, outputs = 0;
  std::map<SequenceId, int> seen;
  for (const PlannedRows& item : plan.items) {
    EXPECT_LT(item.first, item.end);
    EXPECT_EQ(++seen[item.sequence], 1) << "two items of one sequence";
    rows += item.end - item.first;
    outputs += item.outputs;
  }
  EXPECT_LE(rows, options.max_num_batched_tokens);
  EXPECT_LE(outputs, options.max_outputs);
  EXPECT_LE(lives.scheduler_.running(), options.max_num_seqs);
  EXPECT_EQ(plan.items.empty(), plan.shape.rows == 0);
}

TEST(Scheduler, EveryPlanIsSoundAndEverythingEnds) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    const SchedulerOptions options = random_options(random);
    Lives lives(options, 8 + random() % 12);  // at most 8 blocks for one sequence
    std::uint64_t next = 1;
    for (int step = 0; step < 600; ++step) {
      if (step < 300 && random() % 3 == 0) {
        const std::size_t prompt = 1 + random() % 90;
        lives.arrive({.id = id(next++),
                      .known = prompt,
                      .priority = static_cast<std::int32_t>(random() % 3),
                      .tenant = random() % 3,
                      .arrival_ms = step * 100.0,
                      .seats = 1 + random() % options.max_num_seqs,
                      .outputs_from = random() % 4 == 0 ? prompt / 2 : kLastOutputOnly},
                     1 + random() % 30, random() % 2 == 0 ? "shared" : "", prompt);
      }
      if (random() % 40 == 0 && next > 1) lives.cancel(id(1 + random() % next));
      const bool work = !lives.lives_.empty();
      const StepPlan plan = lives.step();
      expect_sound(plan, lives, options);
      ASSERT_EQ(plan.items.empty(), !work) << "seed " << seed << ", step " << step;
      if (::testing::Test::HasFailure()) FAIL() << "seed " << seed << ", step " << step;
    }
    for (int step = 0; step < 20'000 && !lives.lives_.empty(); ++step) lives.step();
    EXPECT_TRUE(lives.lives_.empty()) << "seed " << seed << ": something starves";
    EXPECT_EQ(lives.blocks_.in_use(), 0u);
  }
}

TEST(Scheduler, TheSameCallsGiveTheSamePlans) {
  const auto story = [] {
    std::vector<PlannedRows> all;
    Lives lives({.max_num_seqs = 3, .max_num_batched_tokens = 40}, 10);
    std::mt19937_64 random(5);
    for (std::uint64_t i = 1; i <= 12; ++i)
      lives.arrive({.id = id(i), .known = 1 + random() % 60}, 1 + random() % 40);
    while (!lives.lives_.empty()) {
      const StepPlan plan = lives.step();
      all.insert(all.end(), plan.items.begin(), plan.items.end());
    }
    return all;
  };
  EXPECT_EQ(story(), story());
}

// The bound of the header: the first in rank of those that run has rows in every step and is never preempted.
TEST(Scheduler, TheOldestAlwaysAdvances) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    Lives lives({.max_num_seqs = 4, .max_num_batched_tokens = 24, .step_budget_ms = 4}, 9);
    std::uint64_t next = 1;
    for (int step = 0; step < 400; ++step) {
      if (random() % 4 == 0) lives.arrive({.id = id(next++), .known = 1 + random() % 80}, 1 + random() % 40);
      if (lives.lives_.empty()) continue;
      const SequenceId oldest = lives.lives_.begin()->first;
      const StepPlan plan = lives.step();
      EXPECT_THAT(plan.preempted, ::testing::Not(::testing::Contains(oldest)));
      EXPECT_NE(std::ranges::find(plan.items, oldest, &PlannedRows::sequence), plan.items.end())
          << "seed " << seed << ", step " << step;
    }
  }
}

// Endless urgent arrivals pass a patient request only until it has waited kAgingMs per level.
TEST(Scheduler, PriorityWaitsNoLongerThanItsAge) {
  Lives lives({.max_num_seqs = 1, .max_num_batched_tokens = 16, .policy = Policy::kPriority}, 8);
  constexpr double kStepMs = 500;
  double now = 0;
  lives.arrive({.id = id(1), .known = 4, .priority = 3, .arrival_ms = now}, 1);
  for (std::uint64_t next = 2; lives.lives_.contains(id(1)); ++next, now += kStepMs) {
    lives.arrive({.id = id(next), .known = 4, .priority = 0, .arrival_ms = now}, 1);
    lives.step();
    // Everything that arrived in the first 30 s goes first, one a step; nothing later does.
    ASSERT_LE(lives.done_.size(), 3 * kAgingMs / kStepMs + 1);
  }
  EXPECT_GE(lives.done_.size(), 3 * kAgingMs / kStepMs - 1);
}

TEST(Scheduler, AFloodOfOneTenantDoesNotDelayAnother) {
  const auto steps_until_done = [](Fairness fairness) {
    Lives lives({.max_num_seqs = 2, .max_num_batched_tokens = 32, .fairness = fairness}, 64);
    for (std::uint64_t i = 1; i <= 50; ++i) lives.arrive({.id = id(i), .known = 30, .tenant = 1}, 4);
    for (int i = 0; i < 10; ++i) lives.step();
    lives.arrive({.id = id(99), .known = 30, .tenant = 2}, 4);
    int steps = 0;
    for (; lives.lives_.contains(id(99)); ++steps) lives.step();
    return steps;
  };
  EXPECT_LE(steps_until_done(Fairness::kTenants), 12);  // a seat to become free, and its own steps
  EXPECT_GT(steps_until_done(Fairness::kNone), 60);     // all fifty first
}

TEST(Scheduler, LongAnswersInAllSeatsDoNotDelayAnotherTenant) {
  const auto steps_until_done = [](Fairness fairness) {
    Lives lives({.max_num_seqs = 4, .max_num_batched_tokens = 64, .fairness = fairness}, 1000);
    for (std::uint64_t i = 1; i <= 8; ++i) lives.arrive({.id = id(i), .known = 10, .tenant = 1}, 500);
    for (int i = 0; i < 20; ++i) lives.step();
    lives.arrive({.id = id(99), .known = 10, .tenant = 2}, 4);
    int steps = 0;
    for (; lives.lives_.contains(id(99)); ++steps) {
      lives.step();
      if (fairness == Fairness::kTenants) {
        EXPECT_TRUE(lives.scheduler_.runs(id(1))) << "the first in rank keeps its seat";
      }
    }
    return steps;
  };
  EXPECT_LE(steps_until_done(Fairness::kTenants), 5);
  EXPECT_GT(steps_until_done(Fairness::kNone), 400);
}

TEST(Scheduler, ATenantIsAskedForNoSeatOfItsShare) {
  Lives lives({.max_num_seqs = 4, .max_num_batched_tokens = 64, .fairness = Fairness::kTenants}, 1000);
  for (std::uint64_t i = 1; i <= 4; ++i) lives.arrive({.id = id(i), .known = 10, .tenant = 1}, 500);
  for (std::uint64_t i = 11; i <= 16; ++i) lives.arrive({.id = id(i), .known = 10, .tenant = 2}, 500);
  for (int i = 0; i < 100; ++i) lives.step();
  std::map<std::uint64_t, int> seats;
  for (const auto& [sequence, life] : lives.lives_) seats[life.spec.tenant] += lives.scheduler_.runs(sequence);
  EXPECT_EQ(seats, (std::map<std::uint64_t, int>{{1, 2}, {2, 2}}));
  EXPECT_LE(lives.scheduler_.preemptions(), 2u) << "nobody takes a seat back";

  Lives three({.max_num_seqs = 8, .max_num_batched_tokens = 64, .fairness = Fairness::kTenants}, 1000);
  for (std::uint64_t i = 0; i < 40; ++i) three.arrive({.id = id(i), .known = 10, .tenant = i / 20}, 500);
  for (int i = 0; i < 20; ++i) three.step();
  three.arrive({.id = id(99), .known = 10, .tenant = 2}, 500);
  for (int i = 0; i < 100; ++i) three.step();
  EXPECT_TRUE(three.scheduler_.runs(id(99)));
  EXPECT_LE(three.scheduler_.preemptions(), 5u) << "nor does one that has more than its share take one";

  Lives wide({.max_num_seqs = 4, .max_num_batched_tokens = 64, .fairness = Fairness::kTenants}, 1000);
  wide.arrive({.id = id(1), .known = 300, .tenant = 1, .seats = 4}, 4);
  for (int i = 0; i < 2; ++i) wide.step();
  wide.arrive({.id = id(2), .known = 10, .tenant = 2}, 4);
  for (int i = 0; i < 2; ++i) wide.step();
  EXPECT_TRUE(wide.scheduler_.runs(id(1))) << "a prompt for many answers is computed to its end";
}

TEST(Scheduler, TenantsOfEqualDemandAreServedEqually) {
  Lives lives({.max_num_seqs = 4, .max_num_batched_tokens = 16, .fairness = Fairness::kTenants}, 64);
  std::map<std::uint64_t, std::size_t> served;
  for (std::uint64_t i = 1; i <= 200; ++i)  // tenant 0 asks for three times as much, in longer prompts
    lives.arrive({.id = id(i), .known = i % 4 == 0 ? 10u : 60u, .tenant = i % 4 == 0 ? 1u : 0u}, 2);
  for (int step = 0; step < 60; ++step)
    for (const PlannedRows& item : lives.step().items)
      served[raw(item.sequence) % 4 == 0 ? 1 : 0] += item.end - item.first;
  // No further apart than what may be in flight: seats times the longest sequence.
  EXPECT_LE(std::max(served[0], served[1]) - std::min(served[0], served[1]), 4 * 62u);
  EXPECT_GT(served[1], 300u);
}

TEST(Scheduler, OptionsSayWhatIsWrong) {
  const auto message = [](const SchedulerOptions& options) {
    const Status status = options.validate(100);
    return status ? std::string() : status.error().message;
  };
  using ::testing::HasSubstr;
  EXPECT_EQ(message({}), "");
  EXPECT_THAT(message({.max_num_seqs = 0}), HasSubstr("--max-num-seqs is 0"));
  EXPECT_THAT(message({.max_num_seqs = 8, .max_num_batched_tokens = 7}), HasSubstr("at least 8"));
  EXPECT_THAT(message({.max_num_batched_tokens = 0}), HasSubstr("--max-num-batched-tokens 0"));
  EXPECT_THAT(message({.max_num_batched_tokens = 120, .chunked_prefill = ChunkedPrefill::kOff}),
              HasSubstr("164"));
  EXPECT_THAT(message({.step_budget_ms = -1}), HasSubstr("-1 ms"));
}

TEST(StepShape, CountsWhatAWindowLetsARowSee) {
  for (const std::size_t window : {std::size_t{1}, std::size_t{24}, std::size_t{100}, kNoWindow})
    for (const std::size_t first : {0u, 23u, 24u, 25u, 90u})
      for (const std::size_t rows : {1u, 2u, 30u}) {
        double attended = 0;
        for (std::size_t p = first; p < first + rows; ++p)
          attended += static_cast<double>(std::min(p + 1, window));
        const StepShape shape = StepShape::of(first, first + rows, window);
        EXPECT_EQ(shape.rows, rows);
        EXPECT_EQ(shape.attended, attended) << window << " tokens, rows from " << first << ", " << rows;
      }
  EXPECT_EQ(FixedCost({}, 24).shape_of(100, 110).attended, 240);
  EXPECT_EQ(CalibratedCost({1, 1, 1}, 24).shape_of(100, 110).attended, 240);
}

TEST(CalibratedCost, FindsTheRatesOfAMachine) {
  const FixedCost machine({.fixed_ms = 30, .linear_ms = 0.8, .attention_ms = 2e-4});
  CalibratedCost cost({.fixed_ms = 5, .linear_ms = 5, .attention_ms = 1e-2});
  std::mt19937_64 random(3);
  for (int i = 0; i < 200; ++i) {
    const std::size_t first = random() % 2000;
    const StepShape shape = StepShape::of(first, first + (random() % 2 == 0 ? 1 : 1 + random() % 256));
    const double noise = 1 + (static_cast<double>(random() % 100) - 50) / 1000;
    cost.observe(shape, machine.predict_ms(shape) * noise);
  }
  for (const StepShape& shape : {StepShape::of(100, 101), StepShape::of(0, 256), StepShape::of(1500, 1700)})
    EXPECT_NEAR(cost.predict_ms(shape) / machine.predict_ms(shape), 1, 0.08);
}

TEST(CalibratedCost, KnowsNothingOfWhatItHasNotSeenAndNeverGoesNegative) {
  CalibratedCost cost({.fixed_ms = 20, .linear_ms = 2, .attention_ms = 1e-4});
  for (int i = 0; i < 100; ++i) cost.observe(StepShape::of(10, 11), 18);  // decodes only
  EXPECT_NEAR(cost.predict_ms(StepShape::of(10, 11)), 18, 0.5);
  EXPECT_GT(cost.rates().linear_ms, 1);  // still what it was told
  for (int i = 0; i < 100; ++i) {        // more rows in less time: no rate explains that
    cost.observe({.rows = 100, .attended = 5000}, 10);
    cost.observe({.rows = 1, .attended = 1}, 20);
  }
  EXPECT_GE(cost.rates().linear_ms, 0);
  EXPECT_GE(cost.rates().attention_ms, 0);
  const double before = cost.rates().fixed_ms;
  cost.observe({.rows = 0, .attended = 0}, 5);
  cost.observe({.rows = 5, .attended = 5}, -1);
  EXPECT_EQ(cost.rates().fixed_ms, before);
}

// Half of the machine goes to somebody else: after as many steps as it takes kFade to fade, that is known.
TEST(CalibratedCost, FollowsAMachineThatBecomesTwiceAsSlow) {
  const StepRates fast{.fixed_ms = 10, .linear_ms = 2, .attention_ms = 1e-3};
  const FixedCost before(fast),
      after({.fixed_ms = 2 * fast.fixed_ms, .linear_ms = 2 * fast.linear_ms, .attention_ms = 2e-3});
  CalibratedCost cost({.fixed_ms = 8, .linear_ms = 1, .attention_ms = 1e-3});
  const StepShape decode = StepShape::of(300, 301), chunk = StepShape::of(100, 160);
  const auto observe = [&](const FixedCost& machine, int steps) {
    for (int i = 0; i < steps; ++i)
      for (const StepShape& shape : {decode, chunk}) cost.observe(shape, machine.predict_ms(shape));
  };
  observe(before, 300);
  EXPECT_NEAR(cost.predict_ms(chunk) / before.predict_ms(chunk), 1, 0.02);
  observe(after, 80);
  for (const StepShape& shape : {decode, chunk})
    EXPECT_NEAR(cost.predict_ms(shape) / after.predict_ms(shape), 1, 0.05);
}

// Whoever decodes for an hour still knows what a prompt costs.
TEST(CalibratedCost, ManyStepsOfOneKindDoNotWashOutAnother) {
  const FixedCost machine({.fixed_ms = 10, .linear_ms = 4, .attention_ms = 1e-3});
  CalibratedCost cost({.fixed_ms = 8, .linear_ms = 1, .attention_ms = 1e-3});
  const StepShape chunk = StepShape::of(0, 60);
  cost.observe(chunk, machine.predict_ms(chunk));
  for (std::size_t i = 100; i < 5000; ++i)
    cost.observe(StepShape::of(i, i + 1), machine.predict_ms(StepShape::of(i, i + 1)));
  EXPECT_NEAR(cost.predict_ms(chunk) / machine.predict_ms(chunk), 1, 0.1);
}

TEST(CalibratedCost, WhatIsFarFromAllThatWasMeasuredIsOutOfReach) {
  CalibratedCost cost({.fixed_ms = 8, .linear_ms = 1, .attention_ms = 1e-3});
  EXPECT_FALSE(cost.is_within_reach(StepShape::of(0, 1)));
  cost.observe(StepShape::of(0, 16), 30);  // 8 + 16 and a little, as was guessed
  EXPECT_TRUE(cost.is_within_reach(StepShape::of(0, 39)));
  EXPECT_FALSE(cost.is_within_reach(StepShape::of(0, 40)));
  EXPECT_FALSE(cost.is_within_reach(StepShape::of(5000, 5016)));  // as many rows, but they look far back
  StepBudget budget({.max_num_batched_tokens = 512, .step_budget_ms = 1000}, cost);
  const Work prompt{.first = 0, .known = 400};
  EXPECT_EQ(budget.fit(prompt, 400, 16), 400u);  // nobody waits
  budget.limit_time();
  EXPECT_EQ(budget.fit(prompt, 400, 16), 39u);
}

// One that has caught up and is not done takes no part, with its blocks or without, until more is known of
// it.
TEST(Scheduler, WhoPausesGetsNoRowsAndMakesRoomOnlyForWhoCouldNotGoOnOtherwise) {
  Lives lives({.max_num_seqs = 4, .max_num_batched_tokens = 64}, 4);
  lives.arrive({.id = id(1), .known = 48}, 10);
  lives.step();
  lives.scheduler_.advance(id(1), 48, 48);
  EXPECT_TRUE(lives.step().empty());
  EXPECT_TRUE(lives.scheduler_.runs(id(1)));

  lives.arrive({.id = id(3), .known = 40}, 1);  // three blocks, of which one is left
  const StepPlan plan = lives.step();
  EXPECT_THAT(plan.preempted, ::testing::ElementsAre(id(1)));
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0], (PlannedRows{.sequence = id(3), .first = 0, .end = 40, .outputs = 1}));
  EXPECT_FALSE(lives.scheduler_.runs(id(1)));
  EXPECT_TRUE(lives.step().empty()) << "it still pauses";

  lives.scheduler_.advance(id(1), 0, 49);
  lives.lives_.at(id(1)).spec.known = 49;
  const StepPlan again = lives.step();
  ASSERT_EQ(again.items.size(), 1u);
  EXPECT_EQ(again.items[0], (PlannedRows{.sequence = id(1), .first = 0, .end = 49, .outputs = 1}));
}

}  // namespace
}  // namespace folio::scheduler::testing
