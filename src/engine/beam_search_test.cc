#include "engine/beam_search.h"

#include <gtest/gtest.h>

#include <cmath>

namespace folio::engine {
namespace {

using sampling::TokenLogprob;

// Next tokens, most likely first; the log-probabilities need not be a distribution's.
std::vector<TokenLogprob> row(std::initializer_list<std::pair<int, float>> entries) {
  std::vector<TokenLogprob> next;
  for (const auto& [token, logprob] : entries) next.push_back({.token = TokenId{token}, .logprob = logprob});
  return next;
}

std::vector<std::pair<std::size_t, int>> advance(BeamSearch& search) {
  std::vector<std::pair<std::size_t, int>> steps;
  for (const BeamSearch::Step& step : search.advance()) steps.emplace_back(step.parent, raw(step.token));
  return steps;
}

using Steps = std::vector<std::pair<std::size_t, int>>;

constexpr TokenId kEnd{9};

TEST(BeamSearch, TheBestGoOnAndEqualOnesByBeamThenByToken) {
  BeamSearch search({.width = 2, .prompt_tokens = 3, .answer_tokens = 10});
  EXPECT_EQ(search.candidates(), 4u);
  search.offer(0, row({{5, -1}, {4, -1}, {3, -2}, {2, -2}}));
  EXPECT_EQ(advance(search), (Steps{{0, 4}, {0, 5}}));  // beam 0 is "4" now
  search.offer(1, row({{1, -1}, {2, -3}}));
  EXPECT_FALSE(search.is_complete());
  search.offer(0, row({{7, -1}, {8, -3}}));
  EXPECT_EQ(advance(search), (Steps{{0, 7}, {1, 1}}));
  search.offer(0, row({{1, -4}, {2, -5}}));
  search.offer(1, row({{6, -1}, {5, -2}}));
  EXPECT_EQ(advance(search), (Steps{{1, 6}, {1, 5}}));  // nobody follows beam 0
  const auto answers = search.take_answers(FinishReason::kLength);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].tokens, (std::vector{TokenId{5}, TokenId{1}, TokenId{6}}));
  EXPECT_DOUBLE_EQ(answers[0].logprob, -3);
  EXPECT_DOUBLE_EQ(answers[0].score, -3.0 / 6);
  EXPECT_EQ(answers[0].reason, FinishReason::kLength);
}

TEST(BeamSearch, WhatEndsIsKeptByScoreAndItsLengthLeavesTheEndOut) {
  BeamSearch search({.width = 2, .prompt_tokens = 2, .answer_tokens = 3, .end_tokens = {kEnd}});
  search.offer(0, row({{9, -1}, {1, -2}, {2, -3}, {3, -4}}));
  EXPECT_EQ(advance(search), (Steps{{0, 1}, {0, 2}}));
  EXPECT_FALSE(search.is_over());
  search.offer(0, row({{1, -1}, {9, -1}, {2, -9}, {3, -9}}));
  search.offer(1, row({{9, -0.25F}, {1, -1}, {2, -9}, {3, -9}}));
  EXPECT_EQ(advance(search), (Steps{{0, 1}, {1, 1}}));  // -3 / 4, and the best that is left may reach -3 / 5
  EXPECT_FALSE(search.is_over());
  search.offer(0, row({{1, -0.25F}, {9, -2}, {2, -9}, {3, -9}}));
  search.offer(1, row({{1, -5}, {9, -6}, {2, -9}, {3, -9}}));
  advance(search);
  EXPECT_TRUE(search.is_over());  // three tokens
  const auto answers = search.take_answers(FinishReason::kLength);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].tokens, (std::vector{kEnd}));  // -1 / 2
  EXPECT_EQ(answers[0].reason, FinishReason::kStop);
  EXPECT_DOUBLE_EQ(answers[0].score, -0.5);
  EXPECT_EQ(answers[1].tokens, (std::vector{TokenId{1}, TokenId{1}, TokenId{1}}));
  EXPECT_DOUBLE_EQ(answers[1].score, -3.25 / 5);
  EXPECT_EQ(answers[1].reason, FinishReason::kLength);
}

TEST(BeamSearch, LengthPenaltyDecidesBetweenShortAndLong) {
  const auto best = [](double length_penalty) {
    BeamSearch search({.width = 1,
                       .prompt_tokens = 1,
                       .answer_tokens = 2,
                       .length_penalty = length_penalty,
                       .end_tokens = {kEnd}});
    search.offer(0, row({{1, -1}, {9, -1.5F}}));
    advance(search);
    search.offer(0, row({{1, -1}, {2, -2}}));
    if (!search.is_over()) advance(search);
    return search.take_answers(FinishReason::kLength)[0].tokens.size();
  };
  EXPECT_EQ(best(0), 1u);   // -1.5 against -2
  EXPECT_EQ(best(1), 2u);   // -1.5 / 1 against -2 / 3
  EXPECT_EQ(best(-1), 1u);  // -1.5 against -6
}

// Over as soon as nothing can change, and not before.
TEST(BeamSearch, EndsWhenNoBeamCanWinAnyMore) {
  const auto steps_until_over = [](double length_penalty, std::size_t answer_tokens) {
    BeamSearch search({.width = 1,
                       .prompt_tokens = 1,
                       .answer_tokens = answer_tokens,
                       .length_penalty = length_penalty,
                       .end_tokens = {kEnd}});
    std::size_t steps = 0;
    for (; !search.is_over(); ++steps) {
      search.offer(0, row({{1, -1}, {9, -1.25F}}));
      advance(search);
    }
    return steps;
  };
  EXPECT_EQ(steps_until_over(0, 100), 2u);   // ended with -1.25; the beam stands at -1, then -2
  EXPECT_EQ(steps_until_over(-1, 100), 1u);  // -1.25 x 1 against -1 x 2
  EXPECT_EQ(steps_until_over(1, 5), 5u);     // what ended later is better: (n + 0.25) / (n + 1)
  EXPECT_EQ(steps_until_over(0.5, 4), 3u);   // -1.25 against -3 / sqrt(5)
}

TEST(BeamSearch, NothingEndsBeforeMinTokens) {
  BeamSearch search(
      {.width = 1, .prompt_tokens = 1, .answer_tokens = 2, .min_tokens = 1, .end_tokens = {kEnd}});
  search.offer(0, row({{9, -0.1F}, {1, -5}}));
  EXPECT_EQ(advance(search), (Steps{{0, 1}}));
  search.offer(0, row({{9, -0.1F}, {1, -5}}));
  advance(search);
  EXPECT_EQ(search.take_answers(FinishReason::kLength)[0].tokens, (std::vector{TokenId{1}, kEnd}));
}

// More candidates may be offered for the report; who is chosen does not depend on them.
TEST(BeamSearch, ReportsLogprobsAndIsNotChangedByThem) {
  for (const std::optional<std::uint32_t> logprobs : {std::optional<std::uint32_t>(), {0u}, {1u}, {3u}}) {
    BeamSearch search({.width = 1,
                       .prompt_tokens = 1,
                       .answer_tokens = 1,
                       .length_penalty = -10,
                       .end_tokens = {kEnd},
                       .logprobs = logprobs});
    EXPECT_EQ(search.offered(), std::max(2u, logprobs.value_or(0)));
    search.offer(0, row({{3, -1}, {1, -2}, {9, -3}}));
    advance(search);
    const auto answers = search.take_answers(FinishReason::kLength);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].tokens, std::vector{TokenId{3}});
    ASSERT_EQ(answers[0].logprobs.size(), logprobs ? 1u : 0u);
    if (!logprobs) continue;
    EXPECT_EQ(answers[0].logprobs[0].chosen.token, TokenId{3});
    EXPECT_EQ(answers[0].logprobs[0].chosen_rank, 1u);
    EXPECT_EQ(answers[0].logprobs[0].top.size(), *logprobs);
  }
}

}  // namespace
}  // namespace folio::engine
