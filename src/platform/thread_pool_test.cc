#include "platform/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <vector>

namespace folio::platform {
namespace {

TEST(ThreadPool, EveryTaskRunsOnceWhateverTheCounts) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    for (std::size_t tasks : {0u, 1u, 2u, 3u, 16u, 1000u}) {
      std::vector<std::atomic<int>> runs(tasks);
      pool.run(tasks, [&](std::size_t task, int thread) {
        EXPECT_LT(thread, threads);
        runs[task].fetch_add(1);
      });
      for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
    }
  }
}

TEST(ThreadPool, ResultsAreVisibleToTheCallerRoundAfterRound) {
  ThreadPool pool(4);
  std::vector<std::size_t> values(64);
  for (std::size_t round = 0; round < 5000; ++round) {
    pool.run(values.size(), [&](std::size_t task, int) { values[task] = round + task; });
    ASSERT_EQ(std::accumulate(values.begin(), values.end(), std::size_t{0}), 64 * round + 63 * 64 / 2);
  }
}

TEST(ThreadPool, WakesSleepingWorkers) {
  ThreadPool pool(3);
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than the bounded spin
    std::atomic<int> done = 0;
    pool.run(30, [&](std::size_t, int) { done.fetch_add(1); });
    EXPECT_EQ(done.load(), 30);
  }
}

// Task 0 ends only when every other task is done: somebody else must take what is left of thread 0's share.
TEST(ThreadPool, AThreadTakesTheTasksOfABusyOne) {
  ThreadPool pool(2);
  std::atomic<int> done = 0;
  pool.run(8, [&](std::size_t task, int) {
    if (task == 0)
      while (done.load() < 7) std::this_thread::yield();
    done.fetch_add(1);
  });
  EXPECT_EQ(done.load(), 8);
}

}  // namespace
}  // namespace folio::platform
