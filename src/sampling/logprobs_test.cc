#include "sampling/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace folio::sampling {
namespace {

TEST(Logprobs, NormaliserMatchesThePlainSum) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0.0F, 4.0F);
  for (std::size_t count : {1, 7, 8, 9, 1000, 49'152}) {
    std::vector<float> logits(count);
    for (float& logit : logits) logit = normal(random);
    double sum = 0;
    for (float logit : logits) sum += std::exp(static_cast<double>(logit));
    // Each term is off by at most 1.5e-7 of itself, so is the sum, and the logarithm by as much absolutely.
    EXPECT_NEAR(log_normaliser(logits), std::log(sum), 2e-7) << count;
  }
}

TEST(Logprobs, ChosenRankAndTop) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> logits{1.0F, 3.0F, 3.0F, -infinity, 2.0F, 3.0F};
  Logprobs result;
  logprobs(logits, TokenId{2}, 4, result);
  EXPECT_EQ(result.chosen.token, TokenId{2});
  EXPECT_EQ(result.chosen_rank, 2);
  ASSERT_EQ(result.top.size(), 4);
  EXPECT_EQ(result.top[0].token, TokenId{1});
  EXPECT_EQ(result.top[1].token, TokenId{2});
  EXPECT_EQ(result.top[2].token, TokenId{5});
  EXPECT_EQ(result.top[3].token, TokenId{4});
  EXPECT_EQ(result.top[1].logprob, result.chosen.logprob);
  EXPECT_NEAR(result.chosen.logprob, -std::log(3 + std::exp(-1.0) + std::exp(-2.0)), 1e-6);

  logprobs(logits, TokenId{3}, 0, result);
  EXPECT_EQ(result.chosen.logprob, -infinity);
  EXPECT_EQ(result.chosen_rank, 6);
  EXPECT_TRUE(result.top.empty());

  logprobs(logits, TokenId{0}, 100, result);
  EXPECT_EQ(result.top.size(), 6);
}

// The heap keeps the right ones whatever order they come in.
TEST(Logprobs, TopIsTheHeadOfTheSortedRow) {
  std::mt19937_64 random(2);
  std::uniform_int_distribution<int> few_values(0, 50);
  std::vector<float> logits(3000);
  for (float& logit : logits) logit = static_cast<float>(few_values(random));
  std::vector<std::size_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  Logprobs result;
  logprobs(logits, TokenId{0}, 200, result);
  for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(raw(result.top[i].token), static_cast<int>(order[i]));
  EXPECT_EQ(order[result.chosen_rank - 1], 0);
}

TEST(Logprobs, TopAloneIsTheSameTopAndRefusesWhatIsNoDistribution) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> logits{1.0F, 3.0F, 3.0F, -infinity, 2.0F, 3.0F};
  Logprobs whole;
  logprobs(logits, TokenId{2}, 4, whole);
  std::vector<TokenLogprob> top;
  ASSERT_TRUE(top_logprobs(logits, 4, top));
  ASSERT_EQ(top.size(), 4u);
  for (std::size_t i = 0; i < top.size(); ++i) {
    EXPECT_EQ(top[i].token, whole.top[i].token);
    EXPECT_EQ(top[i].logprob, whole.top[i].logprob);
  }
  ASSERT_TRUE(top_logprobs(logits, 100, top));
  EXPECT_EQ(top.size(), 6u);
  EXPECT_EQ(top.back().logprob, -infinity);
  for (const float bad : {infinity, std::nanf("")}) {
    logits[4] = bad;
    EXPECT_FALSE(top_logprobs(logits, 4, top)) << bad;
  }
  EXPECT_FALSE(top_logprobs(std::vector<float>(20, -infinity), 4, top));
}

}  // namespace
}  // namespace folio::sampling
