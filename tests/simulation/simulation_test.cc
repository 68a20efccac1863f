// Many lives of an engine on the fake model. FOLIO_SIM_SEED=n replays one; FOLIO_SIM_STEPS=n runs that many
// steps instead of 100,000 (a tenth under sanitizers).
#include "simulation/simulation.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

namespace folio::simulation {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSteps = 10'000;
#else
constexpr std::uint64_t kSteps = 100'000;
#endif

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Simulation, EveryLifeIsExact) {
  const std::uint64_t only = number_from("FOLIO_SIM_SEED", 0);
  const std::uint64_t wanted_steps = number_from("FOLIO_SIM_STEPS", kSteps);
  Life all;
  std::uint64_t seed = only == 0 ? 1 : only, lives = 0;
  for (; only == 0 ? all.steps < wanted_steps : lives == 0; ++seed, ++lives) {
    const Life life = live(seed);
    ASSERT_EQ(life.failure, "") << "replay with FOLIO_SIM_SEED=" << seed;
    all.steps += life.steps;
    all.preemptions += life.preemptions;
    all.forks += life.forks;
    all.searches += life.searches;
    all.cancelled += life.cancelled;
    all.pooled += life.pooled;
    all.swapped_blocks += life.swapped_blocks;
    all.hit_tokens += life.hit_tokens;
    all.evicted_blocks += life.evicted_blocks;
    all.copied_blocks += life.copied_blocks;
  }
  std::cout << lives << " lives, " << all.steps << " steps: " << all.preemptions << " preemptions, "
            << all.forks << " forks, " << all.searches << " beam searches, " << all.cancelled
            << " answers cut short, " << all.hit_tokens << " tokens found, blocks: " << all.evicted_blocks
            << " evicted, " << all.copied_blocks << " copied, " << all.swapped_blocks << " swapped\n";
  if (only != 0) return;
  // A simulation in which nothing happens shows nothing.
  EXPECT_GT(all.preemptions, wanted_steps / 200);
  EXPECT_GT(all.forks, wanted_steps / 100);
  EXPECT_GT(all.pooled, wanted_steps / 200);
  EXPECT_GT(all.searches, wanted_steps / 200);
  EXPECT_GT(all.cancelled, wanted_steps / 200);
  EXPECT_GT(all.evicted_blocks, wanted_steps / 20);
  EXPECT_GT(all.copied_blocks, wanted_steps / 100);
  EXPECT_GT(all.hit_tokens, wanted_steps);
  EXPECT_GT(all.swapped_blocks, wanted_steps / 200);
}

TEST(Simulation, ALifeIsAFunctionOfItsSeed) {
  const Life first = live(7), second = live(7);
  EXPECT_EQ(first.steps, second.steps);
  EXPECT_EQ(first.preemptions, second.preemptions);
  EXPECT_EQ(first.hit_tokens, second.hit_tokens);
  EXPECT_EQ(first.evicted_blocks, second.evicted_blocks);
}

}  // namespace
}  // namespace folio::simulation
