// A plan in the steady state allocates nothing.
#include <gtest/gtest.h>

#include "base/counting_new.h"
#include "scheduler/calibrated_cost.h"
#include "scheduler/scheduler.h"
#include "scheduler/scheduler_testing.h"

namespace folio::scheduler::testing {
namespace {

TEST(Scheduler, PlansWithoutAllocating) {
  constexpr std::uint64_t kSequences = 8;
  for (Fairness fairness : {Fairness::kNone, Fairness::kTenants}) {
    CalibratedCost cost({.fixed_ms = 1, .linear_ms = 1, .attention_ms = 1e-3});
    CountedBlocks blocks(1000);
    Scheduler scheduler({.max_num_seqs = kSequences, .fairness = fairness}, cost);
    std::size_t length = 20;
    for (std::uint64_t i = 0; i < kSequences + 4; ++i) {  // four find no seat
      blocks.add(SequenceId{i}, length);
      scheduler.add({.id = SequenceId{i}, .known = length, .tenant = i % 2});
    }
    const auto step = [&] {
      const StepPlan& plan = scheduler.plan(blocks);
      EXPECT_EQ(plan.items.size(), kSequences);
      for (const PlannedRows& item : plan.items) scheduler.advance(item.sequence, length, length + 1);
      cost.observe(plan.shape, 5);
      ++length;
    };
    step();
    const std::size_t before = folio::testing::allocations;
    for (int i = 0; i < 50; ++i) step();
    EXPECT_EQ(folio::testing::allocations - before, 0u);
  }
}

}  // namespace
}  // namespace folio::scheduler::testing
