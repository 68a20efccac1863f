#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace folio {
namespace {

TEST(BoundedQueue, FirstInFirstOutAndFullIsAnAnswer) {
  BoundedQueue<int> queue(2);
  EXPECT_FALSE(queue.try_pop());
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(queue.try_push(1), Push::kDone);
    EXPECT_EQ(queue.try_push(2), Push::kDone);
    EXPECT_EQ(queue.try_push(3), Push::kFull);
    EXPECT_EQ(queue.size(), 2);
    EXPECT_EQ(queue.try_pop(), 1);
    EXPECT_EQ(queue.try_push(4), Push::kDone);
    EXPECT_EQ(queue.try_pop(), 2);
    EXPECT_EQ(queue.try_pop(), 4);
  }
}

TEST(BoundedQueue, RefusedItemStaysWithItsOwner) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_EQ(queue.try_push(std::make_unique<int>(1)), Push::kDone);
  auto item = std::make_unique<int>(2);
  EXPECT_EQ(queue.try_push(std::move(item)), Push::kFull);
  ASSERT_TRUE(item);
  EXPECT_EQ(*item, 2);
}

TEST(BoundedQueue, NothingIsLostOrDoubledBetweenThreads) {
  constexpr int kProducers = 3;
  constexpr int kItems = 5'000;
  BoundedQueue<int> queue(7);
  std::vector<std::thread> producers;
  for (int producer = 0; producer < kProducers; ++producer)
    producers.emplace_back([&queue, producer] {
      for (int i = 0; i < kItems; ++i)
        while (queue.try_push(producer * kItems + i) != Push::kDone) std::this_thread::yield();
    });
  std::vector<int> seen(kProducers * kItems, 0);
  std::vector<int> last(kProducers, -1);
  for (int taken = 0; taken < kProducers * kItems;) {
    const std::optional<int> item = queue.try_pop();
    if (!item) {
      std::this_thread::yield();
      continue;
    }
    ++taken;
    ++seen[static_cast<std::size_t>(*item)];
    int& previous = last[static_cast<std::size_t>(*item / kItems)];
    EXPECT_LT(previous, *item);  // in each producer's order
    previous = *item;
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(seen, std::vector<int>(kProducers * kItems, 1));
}

}  // namespace
}  // namespace folio
