#include "platform/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "platform/latest.h"

namespace folio::platform {
namespace {

using namespace std::chrono_literals;

void wait_for(const std::atomic<int>& value, int expected) {
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (value != expected && std::chrono::steady_clock::now() < limit) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(value, expected);
}

TEST(WorkerThread, WorksUntilThereIsNothingLeftAndAgainWhenWoken) {
  std::atomic<int> left = 3, calls = 0;
  Worker worker("test", [&] {
    ++calls;
    return left > 0 && --left > 0 ? Work::kMore : Work::kNone;
  });
  wait_for(calls, 3);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(calls, 3) << "it sleeps";
  left = 2;
  worker.wake();
  wait_for(calls, 5);
}

TEST(WorkerThread, LosesNoWakeThatComesDuringACall) {
  std::atomic<int> todo = 0, done = 0;
  {
    Worker worker("test", [&] {
      done += todo.exchange(0);
      return Work::kNone;
    });
    for (int i = 0; i < 10'000; ++i) {
      ++todo;
      worker.wake();
    }
    wait_for(done, 10'000);
  }
}

TEST(LatestThread, GivesWholeValues) {
  Latest<std::pair<int, int>> latest;
  std::atomic<int> rounds = 0;
  Worker worker("test", [&] {
    latest.put({rounds, rounds});
    return ++rounds < 10'000 ? Work::kMore : Work::kNone;
  });
  while (rounds < 10'000) {
    const auto [first, second] = latest.get();
    ASSERT_EQ(first, second);
  }
}

}  // namespace
}  // namespace folio::platform
