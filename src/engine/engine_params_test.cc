// What a request may say about its answer, through the whole engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_testing.h"
#include "support/models.h"

namespace folio::engine {
namespace {

using namespace testing_support;
using test::kStories;

class Params : public testing::Test {
 protected:
  Delta answer(const GenerationRequest& request) {
    auto job = engine_->submit(request);
    EXPECT_TRUE(job.has_value()) << (job ? "" : job.error().message);
    stats_ = {};
    if (!job) return {};
    run(*engine_);
    stats_ = job->stream->stats();
    return job->stream->take();
  }
  std::string refusal(const GenerationRequest& request) {
    const auto job = engine_->submit(request);
    return job ? "accepted" : job.error().message;
  }

  std::unique_ptr<Engine> engine_ =
      load({.model = kStories, .kv_size = capacity::KvTokens{2048}, .kv_type = KvType::kF16});
  GenerationRequest request_ = greedy({TokenId{1}}, 20);
  GenerationStats stats_;
};

TEST_F(Params, LogprobsAreThoseOfTheLogits) {
  request_.logprobs = 3;
  Output output;
  auto job = submit(*engine_, request_, 0, output);
  run(*engine_);
  const Delta delta = job.stream->take();
  ASSERT_EQ(delta.logprobs.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i) {
    sampling::Logprobs expected;
    sampling::logprobs(output.logits.at(i), delta.tokens[i], 3, expected);
    EXPECT_EQ(delta.logprobs[i].chosen.token, delta.tokens[i]);
    EXPECT_EQ(delta.logprobs[i].chosen.logprob, expected.chosen.logprob);
    EXPECT_EQ(delta.logprobs[i].chosen_rank, 1u);
    ASSERT_EQ(delta.logprobs[i].top.size(), 3u);
    EXPECT_EQ(delta.logprobs[i].top[0].token, delta.tokens[i]);
  }
}

// Alone, in a crowd with preemptions, and asked for a second time: no block of the prompt is reused.
TEST_F(Params, PromptLogprobsCoverThePromptWhateverIsCached) {
  auto request = greedy(prompt_of(90, 512), 3);
  request.prompt_logprobs = 2;
  const Delta first = answer(request);
  ASSERT_EQ(first.prompt_logprobs.size(), 89u);
  for (std::size_t i = 0; i < 89; ++i)
    EXPECT_EQ(first.prompt_logprobs[i].chosen.token, request.prompt[i + 1]);
  const auto same = [&](const Delta& other) {
    ASSERT_EQ(other.prompt_logprobs.size(), 89u);
    for (std::size_t i = 0; i < 89; ++i) {
      EXPECT_EQ(other.prompt_logprobs[i].chosen.logprob, first.prompt_logprobs[i].chosen.logprob) << i;
      EXPECT_EQ(other.prompt_logprobs[i].chosen_rank, first.prompt_logprobs[i].chosen_rank) << i;
    }
  };
  same(answer(request));
  EXPECT_EQ(stats_.cached_tokens, 0u);
  engine_ = load({.model = kStories,
                  .context_tokens = 192,
                  .kv_size = capacity::KvTokens{224},
                  .kv_type = KvType::kF16,
                  .step_tokens = 64});
  for (std::uint32_t vocab : {300u, 400u})
    ASSERT_TRUE(engine_->submit(greedy(prompt_of(70, vocab), 60)).has_value());
  request.max_tokens = 60;
  const Job last = *engine_->submit(request);  // the one to give its blocks up
  run(*engine_);
  EXPECT_GT(last.stream->stats().preemptions, 0u);
  same(last.stream->take());
}

TEST_F(Params, StopTokensAndMinTokens) {
  const auto plain_tokens = answer(request_).tokens;
  const TokenId stop = plain_tokens[4];
  const auto first = std::ranges::find(plain_tokens, stop) - plain_tokens.begin();
  request_.sampling.stop_token_ids = {stop};
  const Delta stopped = answer(request_);
  EXPECT_EQ(stopped.finish, FinishReason::kStop);
  EXPECT_EQ(stopped.tokens.size(), static_cast<std::size_t>(first) + 1);
  request_.sampling.min_tokens = 10;
  const Delta later = answer(request_);
  ASSERT_GE(later.tokens.size(), 10u);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_NE(later.tokens[i], stop);
  EXPECT_TRUE(std::ranges::equal(std::span(later.tokens).first(first), std::span(plain_tokens).first(first)));
}

TEST_F(Params, BiasesAllowedTokensAndBadWords) {
  const auto plain_tokens = answer(request_).tokens;
  request_.sampling.logit_bias = {{plain_tokens[0], -100}};
  EXPECT_NE(answer(request_).tokens[0], plain_tokens[0]);
  request_.sampling.logit_bias.clear();
  request_.sampling.allowed_token_ids = {TokenId{300}, TokenId{301}};
  for (TokenId token : answer(request_).tokens) EXPECT_THAT(raw(token), testing::AnyOf(300, 301));
  request_.sampling.allowed_token_ids.clear();
  request_.sampling.bad_words = {{plain_tokens[2], plain_tokens[3]}};
  const auto without = answer(request_).tokens;
  EXPECT_EQ(without[2], plain_tokens[2]);
  EXPECT_NE(without[3], plain_tokens[3]);
  for (std::size_t i = 0; i + 1 < without.size(); ++i)
    EXPECT_FALSE(without[i] == plain_tokens[2] && without[i + 1] == plain_tokens[3]);
}

TEST_F(Params, AMissingSeedIsDrawnOnceAndReported) {
  request_.sampling.temperature = 1;
  request_.seed = Seed::kDraw;
  const Delta drawn = answer(request_);
  const std::uint64_t seed = stats_.seed;
  answer(request_);
  EXPECT_NE(stats_.seed, seed);
  request_.seed = Seed::kGiven;
  request_.sampling.seed = seed;
  EXPECT_EQ(answer(request_).tokens, drawn.tokens);
  EXPECT_EQ(stats_.seed, seed);
}

TEST_F(Params, RefusesWhatNamesNothing) {
  const auto with = [&](auto change) {
    auto request = request_;
    change(request);
    return refusal(request);
  };
  using testing::HasSubstr;
  EXPECT_THAT(with([](auto& r) { r.logprobs = 513; }), HasSubstr("513 most likely"));
  EXPECT_THAT(with([](auto& r) { r.sampling.logit_bias = {{TokenId{512}, 1}}; }), HasSubstr("token 512"));
  EXPECT_THAT(with([](auto& r) { r.sampling.logit_bias = {{TokenId{5}, 101}}; }), HasSubstr("-100 to 100"));
  EXPECT_THAT(with([](auto& r) { r.sampling.allowed_token_ids = {TokenId{-1}}; }),
              HasSubstr("allowed_token_ids"));
  EXPECT_THAT(with([](auto& r) { r.sampling.stop_token_ids = {TokenId{9999}}; }),
              HasSubstr("stop_token_ids"));
  EXPECT_THAT(with([](auto& r) { r.sampling.bad_words = {{}}; }), HasSubstr("bad_words has 0 tokens"));
  const auto part = [&](auto change) {
    auto request = request_;
    change(request);
    const auto checked = engine_->check_request(request);
    return checked ? RequestPart::kNone : checked.error().part;
  };
  EXPECT_EQ(part([](auto&) {}), RequestPart::kNone);
  EXPECT_EQ(part([](auto& r) { r.sampling.bad_words = {{}}; }), RequestPart::kSampling);
  EXPECT_EQ(part([](auto& r) { r.prompt_logprobs = 513; }), RequestPart::kLogprobs);
  EXPECT_EQ(part([](auto& r) { r.prompt.clear(); }), RequestPart::kPrompt);
  EXPECT_EQ(part([](auto& r) { r.prompt = {TokenId{512}}; }), RequestPart::kPrompt);
  EXPECT_EQ(part([](auto& r) { r.prompt = prompt_of(5000, 512); }), RequestPart::kLength);
  EXPECT_EQ(part([](auto& r) { r.stop = {""}; }), RequestPart::kStop);
  EXPECT_EQ(part([](auto& r) { r.choices = 1000; }), RequestPart::kChoices);
  EXPECT_EQ(part([](auto& r) { r.pooling = Pooling::kMean; }), RequestPart::kHidden);
  EXPECT_EQ(part([](auto& r) { r.choices = 2, r.on_logits = [](auto...) {}; }), RequestPart::kLogits);
  EXPECT_EQ(part([](auto& r) { r.beams = BeamOptions{.length_penalty = 99}; }), RequestPart::kBeams);
  EXPECT_EQ(part([](auto& r) { r.deadline_ms = -1; }), RequestPart::kDeadline);
  auto nothing_left = request_;
  nothing_left.sampling.allowed_token_ids = {TokenId{7}};
  nothing_left.sampling.bad_words = {{TokenId{7}}};
  EXPECT_EQ(answer(nothing_left).finish, FinishReason::kError);
  EXPECT_THAT(stats_.error->message, HasSubstr("no token is left"));
}

// Swapped out and back, or computed again: nobody can tell.
TEST_F(Params, SwappingDoesNotShow) {
  std::vector<GenerationRequest> requests;
  std::vector<std::vector<TokenId>> expected;
  for (std::size_t i = 0; i < 5; ++i) {
    requests.push_back(greedy(prompt_of(40 + 13 * i, static_cast<std::uint32_t>(500 - i)), 60));
    expected.push_back(answer(requests.back()).tokens);
  }
  engine_ = load({.model = kStories,
                  .context_tokens = 192,
                  .kv_size = capacity::KvTokens{256},
                  .kv_type = KvType::kF16,
                  .swap_bytes = 1 << 20});
  std::vector<Job> jobs;
  for (const auto& request : requests) jobs.push_back(*engine_->submit(request));
  run(*engine_);
  EXPECT_GT(engine_->kv_stats().swapped_in_blocks, 0u);
  EXPECT_EQ(engine_->kv_stats().free_swap_blocks, engine_->kv_stats().swap_blocks);
  for (std::size_t i = 0; i < jobs.size(); ++i) EXPECT_EQ(jobs[i].stream->take().tokens, expected[i]) << i;
}

}  // namespace
}  // namespace folio::engine
