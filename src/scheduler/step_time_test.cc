// How long the steps become that others' tokens wait for, on machines of other speeds than was guessed: a
// clock that only counts, a machine that is a formula.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "scheduler/calibrated_cost.h"
#include "scheduler/scheduler.h"
#include "scheduler/scheduler_testing.h"

namespace folio::scheduler::testing {
namespace {

constexpr double kBudgetMs = 250;

// Reading the weights and computing overlap: few rows cost no more than one.
struct Machine {
  double memory_ms, row_ms, attention_ms;

  double step_ms(const StepShape& shape) const {
    return std::max(memory_ms, static_cast<double>(shape.rows) * row_ms) + shape.attended * attention_ms;
  }
};

class Clock {
 public:
  Clock(const StepRates& guess, const Machine& machine) : machine_(machine), cost_(guess) {}

  void arrive(std::uint64_t id, std::size_t prompt, std::size_t generate) {
    blocks_.add(SequenceId{id}, prompt);
    scheduler_.add({.id = SequenceId{id}, .known = prompt});
    lives_[SequenceId{id}] = {.known = prompt, .left = generate};
  }

  // One step; its time.
  double step() {
    const StepPlan plan = scheduler_.plan(blocks_);
    const double noise = 0.95 + 0.1 * static_cast<double>(random_() % 1000) / 1000;
    const double ms = machine_.step_ms(plan.shape) * noise;
    for (const PlannedRows& item : plan.items) {
      Life& life = lives_.at(item.sequence);
      if (item.end == life.known) {
        ++life.known;
        --life.left;
      }
      blocks_.advance(item.sequence, item.end, life.known);
      if (life.left > 0) {
        scheduler_.advance(item.sequence, item.end, life.known);
        continue;
      }
      scheduler_.remove(item.sequence);
      blocks_.remove(item.sequence);
      lives_.erase(item.sequence);
    }
    cost_.observe(plan.shape, ms);
    return ms;
  }
  std::size_t depth() const { return lives_.begin()->second.known; }
  bool lives(std::uint64_t id) const { return lives_.contains(SequenceId{id}); }

 private:
  struct Life {
    std::size_t known, left;
  };

  Machine machine_;
  CalibratedCost cost_;
  CountedBlocks blocks_{1 << 16};
  Scheduler scheduler_{{.step_budget_ms = kBudgetMs}, cost_};
  std::map<SequenceId, Life> lives_;
  std::mt19937_64 random_{1};
};

struct Case {
  const char* name;
  StepRates guess;
  Machine machine;
};

// What an engine guesses of a model of 85 MB and of one of 830 MB, and what machines make of them.
constexpr StepRates kSmall{.fixed_ms = 8.5, .linear_ms = 1.7, .attention_ms = 7e-3},
    kLarge{.fixed_ms = 83, .linear_ms = 16.6, .attention_ms = 1.3e-2};
constexpr Case kCases[] = {
    {"small, as guessed", kSmall, {.memory_ms = 8.5, .row_ms = 1.7, .attention_ms = 7e-3}},
    {"small, slower", kSmall, {.memory_ms = 12, .row_ms = 4.4, .attention_ms = 2e-3}},
    {"small, slower yet", kSmall, {.memory_ms = 30, .row_ms = 9, .attention_ms = 4e-3}},
    {"small, faster", kSmall, {.memory_ms = 4, .row_ms = 0.3, .attention_ms = 2e-4}},
    {"large", kLarge, {.memory_ms = 45, .row_ms = 6, .attention_ms = 2e-3}},
    {"large, slower", kLarge, {.memory_ms = 60, .row_ms = 13, .attention_ms = 4e-3}},
};

TEST(StepTime, ALongPromptHoldsUpNobodyWhateverWasGuessed) {
  for (const auto& [name, guess, machine] : kCases)
    for (const std::size_t first_prompts : {24u, 1u}) {
      Clock clock(guess, machine);
      for (std::uint64_t id = 1; id <= 4; ++id) clock.arrive(id, first_prompts, 100'000);
      std::uint64_t next = 100;
      // After little and after much that is not like it, and behind a long context too.
      for (const std::size_t decodes : {2u, 500u, 2000u})
        for (const std::size_t prompt : {1500u, 6000u}) {
          for (std::size_t i = 0; i < decodes; ++i) clock.step();
          const std::uint64_t id = next++;
          clock.arrive(id, prompt, 1);
          double worst_ms = 0, all_ms = 0;
          std::size_t steps = 0;
          for (; clock.lives(id) && steps < 2000; ++steps) {
            const double ms = clock.step();
            worst_ms = std::max(worst_ms, ms);
            all_ms += ms;
          }
          // What is always done: the others' tokens, and 16 of the prompt.
          const StepShape others = StepShape::of(clock.depth(), clock.depth() + 1);
          const double least_ms =
              machine.step_ms(others + others + others + others + StepShape::of(prompt - 16, prompt));
          EXPECT_LE(worst_ms, 1.1 * std::max(kBudgetMs, least_ms))
              << name << ", " << prompt << " after " << decodes;
          // And it does not crawl: but for the first few, steps are about as long as they may be.
          EXPECT_GE(all_ms, 0.75 * kBudgetMs * (static_cast<double>(steps) - 6)) << name << ", " << steps;
        }
    }
}

}  // namespace
}  // namespace folio::scheduler::testing
