#include <gtest/gtest.h>

#include "base/counting_new.h"
#include "engine/engine_testing.h"
#include "support/fixtures.h"

namespace folio::engine {
namespace {

using testing_support::greedy;
using testing_support::load;
using testing_support::prompt_of;

// Sequences that only decode: planning, blocks, the forward pass, sampling and the streams, of one and of
// many. What waits unread for its reader grows by doubling, tokens and text: once each in so many steps.
TEST(EngineAllocation, ASteadyStepAllocatesNothing) {
  for (int threads : {1, 2})
    for (std::size_t streams : {1, 5}) {
      const auto engine = load({.model = test::fixture("stories260k/stories260k.gguf"), .threads = threads});
      ASSERT_NE(engine, nullptr);
      std::vector<Job> jobs;
      for (std::size_t i = 0; i < streams; ++i) {
        auto job = engine->submit(greedy(prompt_of(20 + i, engine->config().vocab), 100));
        ASSERT_TRUE(job.has_value());
        jobs.push_back(std::move(*job));
      }
      for (int i = 0; i < 36; ++i) ASSERT_TRUE(engine->step());
      const std::size_t before = folio::testing::allocations;
      for (int i = 0; i < 28; ++i) ASSERT_TRUE(engine->step());
      EXPECT_LE(folio::testing::allocations - before, 2 * streams)
          << streams << " streams, " << threads << " threads";
      ASSERT_FALSE(jobs.front().stream->finished()) << "the steps counted were steps of decoding";
    }
}

}  // namespace
}  // namespace folio::engine
