// Rules that change a row before anything else: which tokens may be chosen at all, and which are pushed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sampling/sampler.h"

namespace folio::sampling {
namespace {

const std::vector<float> kRow{1, 5, 4, 3, 2};

TokenId chosen(const SamplingParams& params, std::vector<TokenId> output = {},
               std::vector<TokenId> ends = {}) {
  Sampler sampler(kRow.size());
  const TokenHistory history;
  SamplingParams greedy = params;
  greedy.temperature = 0;
  return sampler.sample(kRow, greedy, {.history = history, .draw = {}, .output = output, .end_tokens = ends})
      .value();
}

TEST(Rules, AllowedTokensAloneAreChosen) {
  EXPECT_EQ(raw(chosen({})), 1);
  EXPECT_EQ(raw(chosen({.allowed_token_ids = {TokenId{4}, TokenId{0}}})), 4);
  EXPECT_EQ(raw(chosen({.allowed_token_ids = {TokenId{4}, TokenId{4}, TokenId{99}, TokenId{-1}}})), 4);
}

TEST(Rules, BadWordsEndNowhere) {
  const std::vector<std::vector<TokenId>> words{{TokenId{3}, TokenId{1}}};
  EXPECT_EQ(raw(chosen({.bad_words = words})), 1);  // nothing of it is there yet
  EXPECT_EQ(raw(chosen({.bad_words = words}, {TokenId{3}})), 2);
  EXPECT_EQ(raw(chosen({.bad_words = words}, {TokenId{3}, TokenId{0}})), 1);
  EXPECT_EQ(raw(chosen({.bad_words = {{TokenId{1}}}})), 2);
}

TEST(Rules, NoEndBeforeMinTokens) {
  const SamplingParams params{.min_tokens = 2, .stop_token_ids = {TokenId{2}}};
  EXPECT_EQ(raw(chosen(params, {TokenId{0}}, {TokenId{1}})), 3);
  EXPECT_EQ(raw(chosen(params, {TokenId{0}, TokenId{0}}, {TokenId{1}})), 1);
}

TEST(Rules, BiasIsAddedAndDoesNotBringBackWhatIsForbidden) {
  EXPECT_EQ(raw(chosen({.logit_bias = {{TokenId{0}, 4.5F}}})), 0);
  EXPECT_EQ(raw(chosen({.logit_bias = {{TokenId{1}, 100}}, .bad_words = {{TokenId{1}}}})), 2);
  EXPECT_EQ(raw(chosen({.logit_bias = {{TokenId{77}, 100}}})), 1);  // outside the row: ignored
}

TEST(Rules, ARowWithNothingLeftSaysSo) {
  Sampler sampler(kRow.size());
  const TokenHistory history;
  const auto none = sampler.sample(kRow, {.allowed_token_ids = {TokenId{1}}, .bad_words = {{TokenId{1}}}},
                                   {.history = history, .draw = {}});
  ASSERT_FALSE(none.has_value());
  EXPECT_THAT(none.error().message, testing::HasSubstr("every token forbidden"));
}

TEST(Rules, ValidationNamesTheFieldAndTheToken) {
  const auto message = [](const SamplingParams& params) {
    const Status own = params.validate(), tokens = params.validate_tokens(100);
    return !own ? own.error().message : !tokens ? tokens.error().message : std::string("fine");
  };
  using testing::HasSubstr;
  EXPECT_EQ(message({}), "fine");
  EXPECT_THAT(message({.logit_bias = {{TokenId{1}, 101}}}), HasSubstr("logit_bias of token 1 is 101"));
  EXPECT_THAT(message({.logit_bias = {{TokenId{100}, 1}}}), HasSubstr("logit_bias names token 100"));
  EXPECT_THAT(message({.allowed_token_ids = {TokenId{-1}}}), HasSubstr("allowed_token_ids"));
  EXPECT_THAT(message({.bad_words = {{}}}), HasSubstr("1 to 64"));
  EXPECT_THAT(message({.bad_words = {{TokenId{500}}}}), HasSubstr("bad_words names token 500"));
  EXPECT_THAT(message({.stop_token_ids = {TokenId{500}}}), HasSubstr("stop_token_ids names token 500"));
  EXPECT_THAT(message({.logit_bias = std::vector<LogitBias>(kMaxLogitBiases + 1)}),
              HasSubstr("at most 1024"));
}

}  // namespace
}  // namespace folio::sampling
