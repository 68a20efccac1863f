#include "sampling/sampler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "base/counting_new.h"
#include "sampling/row_math.h"

namespace folio::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const SamplingParams kGreedy{.temperature = 0};

TokenId token(std::size_t id) { return static_cast<TokenId>(id); }

std::vector<float> normal_logits(std::size_t count, double deviation, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0.0, deviation);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = static_cast<float>(normal(random));
  return logits;
}

// The probabilities that the parameters define, computed the plain way: in double, over the fully sorted row.
std::vector<double> exact_probabilities(const std::vector<float>& logits, const SamplingParams& params) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  std::vector<double> weights(logits.size());
  const double largest = logits[order[0]];
  for (std::size_t i = 0; i < logits.size(); ++i)
    weights[i] =
        std::exp((static_cast<double>(logits[i]) - largest) / static_cast<double>(params.temperature));
  std::size_t kept = order.size();
  while (kept > 1 && weights[order[kept - 1]] < static_cast<double>(params.min_p)) --kept;
  if (params.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(params.top_k));
  const auto sum_of_first = [&](std::size_t count) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += weights[order[i]];
    return sum;
  };
  const double needed = static_cast<double>(params.top_p) * sum_of_first(kept);
  double reached = 0;
  std::size_t nucleus = 0;
  while (nucleus < kept && (nucleus == 0 || reached < needed)) reached += weights[order[nucleus++]];
  if (params.top_p < 1) kept = nucleus;
  const double total = sum_of_first(kept);
  std::vector<double> probabilities(logits.size(), 0.0);
  for (std::size_t i = 0; i < kept; ++i) probabilities[order[i]] = weights[order[i]] / total;
  return probabilities;
}

// Draws often and compares counts with expectations: chi-square within four standard deviations of its mean,
// over bins of at least ten expected draws; a token of probability zero never comes. Seeds are fixed: no
// flakes.
void expect_distribution(const std::vector<float>& logits, const SamplingParams& params, int draws = 10'000) {
  const std::vector<double> probabilities = exact_probabilities(logits, params);
  Sampler sampler(logits.size());
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i)
    ++counts[static_cast<std::size_t>(
        raw(*sampler.sample(logits, params, {}, {.position = static_cast<std::uint64_t>(i)})))];
  double chi_square = 0;
  double rest_expected = 0;
  double rest_count = 0;
  int bins = 0;
  const auto add = [&](double count, double expected) {
    chi_square += (count - expected) * (count - expected) / expected;
    ++bins;
  };
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double expected = probabilities[i] * draws;
    ASSERT_TRUE(expected > 0 || counts[i] == 0) << "token " << i << " was filtered out";
    if (expected >= 10) {
      add(counts[i], expected);
    } else {
      rest_expected += expected;
      rest_count += counts[i];
    }
  }
  if (rest_expected >= 10) add(rest_count, rest_expected);
  const double freedom = bins - 1;
  EXPECT_LE(chi_square, freedom + 4 * std::sqrt(2 * freedom) + 1e-9) << bins << " bins";
}

TEST(Sampler, DrawsFromTheExactDistribution) {
  const std::vector<float> few{1.0F, 2.0F, 0.5F, -kInfinity, 3.0F, 2.0F};
  const std::vector<float> many = normal_logits(500, 1.5, 1);
  expect_distribution(few, {});
  expect_distribution(few, {.temperature = 0.5F});
  expect_distribution(few, {.temperature = 5.0F});
  expect_distribution(many, {});
  expect_distribution(many, {.top_k = 20});
  expect_distribution(many, {.top_k = -1});
  expect_distribution(many, {.top_p = 0.6F});
  expect_distribution(many, {.min_p = 0.1F});
  expect_distribution(many, {.temperature = 2.0F, .top_k = 50, .top_p = 0.8F, .min_p = 0.05F});
  expect_distribution(many, {.top_k = 3, .top_p = 0.9F, .seed = 99});
  expect_distribution(many, {.temperature = 1000.0F}, 20'000);
}

// Wide rows take the paths that select in parts.
TEST(Sampler, DrawsFromTheExactDistributionOverALargerVocabulary) {
  const std::vector<float> wide = normal_logits(8'000, 2.0, 2);
  // A quarter of the probability is in a tail of tokens that are each unlikely.
  std::vector<float> tail(8'000, -10.0F);
  tail[7] = 0.0F;
  expect_distribution(tail, {.top_p = 0.9F}, 1000);
  expect_distribution(wide, {.top_k = 40}, 2000);
  expect_distribution(wide, {.top_p = 0.5F}, 2000);
  expect_distribution(wide, {.top_p = 0.9995F}, 1000);  // reaches into the tail
  expect_distribution(wide, {}, 2000);
}

TEST(Sampler, KeepsExactlyTheRightTokens) {
  EXPECT_TRUE(rc::check("support", [] {
    const auto count = *rc::gen::inRange<std::size_t>(1, 40);
    // Few different values, so that ties fall on every edge.
    const auto values = *rc::gen::container<std::vector<int>>(count, rc::gen::inRange(0, 6));
    std::vector<float> logits;
    for (int value : values) logits.push_back(static_cast<float>(value) * 0.25F);
    const SamplingParams params{.temperature = *rc::gen::element(0.7F, 1.0F, 3.0F),
                                .top_k = *rc::gen::inRange(-1, 45),
                                .top_p = *rc::gen::element(0.013F, 0.3F, 0.77F, 1.0F),
                                .min_p = *rc::gen::element(0.0F, 0.0F, 0.33F, 0.61F),
                                .seed = *rc::gen::arbitrary<std::uint64_t>()};
    const std::vector<double> probabilities = exact_probabilities(logits, params);
    Sampler sampler(count);
    std::vector<bool> seen(count, false);
    for (std::uint64_t i = 0; i < 3000; ++i)
      seen[static_cast<std::size_t>(raw(*sampler.sample(logits, params, {}, {.position = i})))] = true;
    for (std::size_t i = 0; i < count; ++i) RC_ASSERT(seen[i] == (probabilities[i] > 0));
  }));
}

TEST(Sampler, DependsOnNothingButItsArguments) {
  const std::vector<float> logits = normal_logits(1000, 2.0, 3);
  const std::vector<float> other = normal_logits(700, 2.0, 4);
  const SamplingParams params{.top_k = 100, .top_p = 0.9F, .seed = 7};
  Sampler busy(1000);
  for (std::uint64_t position = 0; position < 200; ++position) {
    Sampler fresh(1000);
    const Draw draw{.choice = 1, .position = position};
    const TokenId expected = *fresh.sample(logits, params, {}, draw);
    EXPECT_TRUE(busy.sample(other, {.seed = position}, {}, draw));
    EXPECT_EQ(*busy.sample(logits, params, {}, draw), expected);
  }
}

TEST(Sampler, SeedChoiceAndPositionEachMatter) {
  const std::vector<float> logits(100'000, 0.0F);
  Sampler sampler(logits.size());
  const auto draw = [&](std::uint64_t seed, Draw name) {
    return *sampler.sample(logits, {.seed = seed}, {}, name);
  };
  const TokenId first = draw(1, {.choice = 0, .position = 0});
  EXPECT_NE(draw(2, {.choice = 0, .position = 0}), first);
  EXPECT_NE(draw(1, {.choice = 1, .position = 0}), first);
  EXPECT_NE(draw(1, {.choice = 0, .position = 1}), first);
}

TEST(Sampler, TiesGoToTheLowerId) {
  Sampler sampler(1600);
  EXPECT_EQ(*sampler.sample(std::vector{1.0F, 4.0F, 4.0F, 4.0F}, kGreedy, {}, {}), token(1));
  const std::vector<float> equal(1600, 1.5F);
  int largest_k = 0;
  int largest_p = 0;
  for (std::uint64_t position = 0; position < 1500; ++position) {
    largest_k = std::max(largest_k, raw(*sampler.sample(equal, {.top_k = 100}, {}, {.position = position})));
    largest_p =
        std::max(largest_p, raw(*sampler.sample(equal, {.top_p = 0.125F}, {}, {.position = position})));
  }
  EXPECT_EQ(largest_k, 99);
  EXPECT_EQ(largest_p, 199);  // exactly an eighth of 1600
}

TEST(Sampler, ExtremeLogitsAndTemperaturesStayOrderly) {
  Sampler sampler(4);
  const float huge = std::numeric_limits<float>::max();
  EXPECT_EQ(*sampler.sample(std::vector{-huge, huge, 0.0F}, {}, {}, {}), token(1));
  EXPECT_EQ(*sampler.sample(std::vector{1.0F, 1.001F, 1.0F}, {.temperature = 1e-40F}, {}, {}), token(1));
  EXPECT_EQ(*sampler.sample(std::vector{-kInfinity, -5.0F}, {.temperature = 1000.0F}, {}, {}), token(1));
  EXPECT_EQ(*sampler.sample(std::vector{0.0F, 1.0F}, {.min_p = 1.0F}, {}, {}), token(1));
  EXPECT_EQ(*sampler.sample(std::vector{0.0F, 1.0F}, {.top_p = 1e-30F}, {}, {}), token(1));
  EXPECT_EQ(*sampler.sample(std::vector{-7.0F}, {.top_k = 5}, {}, {}), token(0));
  TokenHistory history;
  history.add_output(token(1));
  const SamplingParams extreme{
      .repetition_penalty = 0.001F, .frequency_penalty = -2.0F, .presence_penalty = -2.0F};
  EXPECT_EQ(*sampler.sample(std::vector{0.0F, huge}, extreme, history, {}), token(1));
}

TEST(Sampler, BrokenRowsAreErrors) {
  Sampler sampler(4);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const SamplingParams& params : {kGreedy, SamplingParams{}, SamplingParams{.top_k = 2}}) {
    EXPECT_NE(sampler.sample(std::vector{0.0F, 1.0F, nan}, params, {}, {}).error().message.find("token 2"),
              std::string::npos);
    EXPECT_NE(sampler.sample(std::vector{kInfinity, 1.0F}, params, {}, {}).error().message.find("token 0"),
              std::string::npos);
    EXPECT_NE(
        sampler.sample(std::vector{-kInfinity, -kInfinity}, params, {}, {}).error().message.find("no token"),
        std::string::npos);
  }
}

class PenaltyTest : public ::testing::Test {
 protected:
  // Which of the tokens 0 and 1 wins under the parameters, with these logits?
  TokenId winner(float first, float second, SamplingParams params) {
    params.temperature = 0;
    return *sampler.sample(std::vector{first, second}, params, history, {});
  }
  Sampler sampler{2};
  TokenHistory history;
};

TEST_F(PenaltyTest, RepetitionDividesOrMultipliesForPromptAndOutput) {
  const SamplingParams params{.repetition_penalty = 2.0F};
  EXPECT_EQ(winner(1.0F, 0.6F, params), token(0));
  history.add_prompt(std::vector{token(0)});
  EXPECT_EQ(winner(1.0F, 0.6F, params), token(1));    // 0.5 against 0.6
  EXPECT_EQ(winner(1.0F, 0.4F, params), token(0));    // 0.5 against 0.4
  EXPECT_EQ(winner(-1.0F, -1.9F, params), token(1));  // -2 against -1.9
  EXPECT_EQ(winner(-1.0F, -2.1F, params), token(0));
  history.add_output(token(0));
  EXPECT_EQ(winner(1.0F, 0.4F, params), token(0));  // once, however often it occurred
  history.clear();
  history.add_output(token(0));
  EXPECT_EQ(winner(1.0F, 0.6F, params), token(1));
}

TEST_F(PenaltyTest, FrequencyCountsTheOutputOnly) {
  const SamplingParams params{.frequency_penalty = 0.25F};
  history.add_prompt(std::vector{token(0), token(0), token(0), token(0), token(0)});
  EXPECT_EQ(winner(1.0F, 0.9F, params), token(0));
  history.add_output(token(0));
  EXPECT_EQ(winner(1.0F, 0.7F, params), token(0));  // 0.75
  history.add_output(token(0));
  EXPECT_EQ(winner(1.0F, 0.7F, params), token(1));  // 0.5
}

TEST_F(PenaltyTest, PresenceTakesOffOnce) {
  const SamplingParams params{.presence_penalty = 0.5F};
  history.add_prompt(std::vector{token(0)});
  EXPECT_EQ(winner(1.0F, 0.9F, params), token(0));
  history.add_output(token(0));
  EXPECT_EQ(winner(1.0F, 0.6F, params), token(1));
  history.add_output(token(0));
  EXPECT_EQ(winner(1.0F, 0.4F, params), token(0));
}

TEST_F(PenaltyTest, RepetitionComesBeforeTheOthersAndAllBeforeTemperature) {
  history.add_output(token(0));
  // (2 / 2) - 0.5 = 0.5; the other way round it would be (2 - 0.5) / 2 = 0.75.
  const SamplingParams params{.repetition_penalty = 2.0F, .presence_penalty = 0.5F};
  EXPECT_EQ(winner(2.0F, 0.6F, params), token(1));
  EXPECT_EQ(winner(2.0F, 0.4F, params), token(0));
  // (8 - 2) / 4 against 6 / 4 is even; taken off after the temperature, 8 / 4 - 2 against 6 / 4 would not be.
  const SamplingParams warm{.temperature = 4.0F, .presence_penalty = 2.0F};
  int first = 0;
  for (std::uint64_t position = 0; position < 4000; ++position)
    first +=
        *sampler.sample(std::vector{8.0F, 6.0F}, warm, history, {.position = position}) == token(0) ? 1 : 0;
  EXPECT_NEAR(first, 2000, 130);
}

TEST_F(PenaltyTest, HistoryOutsideTheRowIsIgnored) {
  history.add_output(token(2));
  history.add_output(TokenId{-1});
  EXPECT_EQ(winner(1.0F, 0.5F, {.presence_penalty = 2.0F}), token(0));
}

TEST(Sampler, AllocatesNothing) {
  const std::vector<float> logits = normal_logits(32'000, 2.0, 5);
  Sampler sampler(logits.size());
  TokenHistory history;
  history.reserve(100);
  const std::size_t before = folio::testing::allocations;
  for (std::uint64_t position = 0; position < 20; ++position) {
    for (const SamplingParams& params :
         {kGreedy, SamplingParams{}, SamplingParams{.top_k = 40, .presence_penalty = 1.0F},
          SamplingParams{.top_p = 0.9999F}, SamplingParams{.top_p = 0.9F, .min_p = 0.01F}})
      history.add_output(*sampler.sample(logits, params, history, {.position = position}));
  }
  EXPECT_EQ(folio::testing::allocations - before, 0);
}

TEST(SamplingParams, RefusesByNameAndRange) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(SamplingParams{}.validate());
  EXPECT_TRUE(kGreedy.validate());
  const auto refused = [](SamplingParams params, const char* field) {
    const Status status = params.validate();
    return !status && status.error().message.starts_with(field);
  };
  for (float bad : {nan, -0.1F, 1000.5F, kInfinity})
    EXPECT_TRUE(refused({.temperature = bad}, "temperature"));
  EXPECT_TRUE(refused({.top_k = -2}, "top_k"));
  for (float bad : {nan, 0.0F, 1.01F, -kInfinity}) EXPECT_TRUE(refused({.top_p = bad}, "top_p"));
  for (float bad : {nan, -0.01F, 1.01F}) EXPECT_TRUE(refused({.min_p = bad}, "min_p"));
  for (float bad : {nan, 0.0F, -1.0F, kInfinity})
    EXPECT_TRUE(refused({.repetition_penalty = bad}, "repetition_penalty"));
  for (float bad : {nan, -2.1F, 2.1F}) EXPECT_TRUE(refused({.frequency_penalty = bad}, "frequency_penalty"));
  for (float bad : {nan, -2.1F, 2.1F}) EXPECT_TRUE(refused({.presence_penalty = bad}, "presence_penalty"));
}

TEST(RowMath, ExponentialIsCloseToLibm) {
  double worst = 0;
  for (float x = 0.0F; x >= -87.0F; x -= 0.00037F) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(exp_nonpositive(x)) - exact) / exact);
  }
  EXPECT_LT(worst, 1.5e-7);
  EXPECT_EQ(exp_nonpositive(0.0F), 1.0F);
  EXPECT_EQ(exp_nonpositive(-87.1F), 0.0F);
  EXPECT_EQ(exp_nonpositive(-kInfinity), 0.0F);
}

TEST(RowMath, LargestIsFoundInEveryLane) {
  for (std::size_t at = 0; at < 21; ++at) {
    std::vector<float> row(21, -3.0F);
    row[at] = 2.0F;
    EXPECT_EQ(largest_of(row), 2.0F) << at;
  }
}

}  // namespace
}  // namespace folio::sampling
