// Many requests over one pool: whoever shares it, and whatever happens to its blocks, a request's answer
// stays the same; and what is shared is computed once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_testing.h"
#include "support/models.h"

namespace folio::engine {
namespace {

using namespace testing_support;
using test::kModels;
using test::kStories;

// Requests of several kinds; some begin alike, none ends before max_tokens.
std::vector<GenerationRequest> crowd() {
  std::vector<GenerationRequest> requests;
  for (std::size_t i = 0; i < 6; ++i) {
    auto request = greedy(prompt_of(30 + 17 * i, 256), 24 + 5 * i);
    if (i % 2 == 1) request.sampling = {.temperature = 0.9F, .top_p = 0.95F, .seed = i};
    if (i == 3) request.sampling.repetition_penalty = 1.3F;
    if (i == 4) request.prompt[40] = TokenId{9};  // a prefix of two blocks in common with the others
    requests.push_back(std::move(request));
  }
  return requests;
}

// All at once, with the logits of everything generated.
std::vector<Output> generate_all(Engine& engine, const std::vector<GenerationRequest>& requests) {
  std::vector<Output> outputs(requests.size());
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < requests.size(); ++i)
    jobs.push_back(submit(engine, requests[i], requests[i].prompt.size() - 1, outputs[i]));
  run(engine);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    outputs[i].tokens = jobs[i].stream->take().tokens;
    outputs[i].stats = jobs[i].stream->stats();
  }
  return outputs;
}

std::vector<Output> each_alone(const std::string& model, const std::vector<GenerationRequest>& requests) {
  std::vector<Output> outputs;
  for (const GenerationRequest& request : requests) {
    const auto engine = load({.model = model, .kv_type = KvType::kF16, .threads = 1});
    outputs.push_back(generate(*engine, request, request.prompt.size() - 1));
  }
  return outputs;
}

TEST(BatchInvariance, AloneInACrowdPreemptedOrAfterAHitTheAnswerIsTheSame) {
  for (const std::string& model : kModels) {
    const auto requests = crowd();
    const auto expected = each_alone(model, requests);
    const auto roomy =
        load({.model = model, .kv_size = capacity::KvTokens{2048}, .kv_type = KvType::kF16, .threads = 2});
    EXPECT_EQ(generate_all(*roomy, requests), expected) << model;
    EXPECT_EQ(roomy->preemptions(), 0u);

    const auto again = generate_all(*roomy, requests);  // every prompt is found now
    EXPECT_EQ(again, expected) << model;
    for (const Output& output : again) EXPECT_GT(output.stats.cached_tokens, 0u);

    const auto tight = load({.model = model,
                             .context_tokens = 192,
                             .kv_size = capacity::KvTokens{256},
                             .kv_type = KvType::kF16,
                             .step_tokens = 40,
                             .threads = 2});
    EXPECT_EQ(generate_all(*tight, requests), expected) << model;
    EXPECT_GT(tight->preemptions(), 0u) << "the pool is not tight enough to show anything";
  }
}

TEST(BatchInvariance, NoPolicyShows) {
  const auto requests = crowd();
  const auto expected = each_alone(kStories, requests);
  for (const EngineOptions& variant :
       std::vector<EngineOptions>{{.max_num_seqs = 2},
                                  {.step_tokens = 24, .long_prefill_token_threshold = 10},
                                  {.step_tokens = 600, .chunked_prefill = scheduler::ChunkedPrefill::kOff},
                                  {.policy = scheduler::Policy::kPriority},
                                  {.fairness = scheduler::Fairness::kTenants},
                                  {.step_budget_ms = 1e-3}}) {
    EngineOptions options = variant;
    options.model = kStories;
    options.kv_type = KvType::kF16;
    options.context_tokens = 192;
    options.kv_size = capacity::KvTokens{320};
    const auto engine = load(options);
    auto mixed = requests;
    for (std::size_t i = 0; i < mixed.size(); ++i) {
      mixed[i].priority = static_cast<std::int32_t>(5 - i);
      mixed[i].tenant = i % 2;
    }
    EXPECT_EQ(generate_all(*engine, mixed), expected);
  }
}

// Of n answers each is what it would be alone, and the prompt's blocks are there once.
TEST(Choices, ForkFromOnePromptAndShareItsBlocks) {
  auto request = greedy(prompt_of(100, 512), 30);
  request.sampling = {.temperature = 1.0F, .seed = 11};
  const auto answers = [&](std::size_t choices, std::size_t kv_tokens) {
    request.choices = choices;
    const auto engine =
        load({.model = kStories, .kv_size = capacity::KvTokens{kv_tokens}, .kv_type = KvType::kF16});
    auto job = engine->submit(request);
    EXPECT_TRUE(job.has_value());
    std::size_t most_blocks = 0;
    while (engine->step()) {
      EXPECT_TRUE(engine->check_integrity().has_value());
      most_blocks = std::max(most_blocks, engine->kv_stats().in_use_blocks);
    }
    std::vector<std::vector<TokenId>> tokens;
    for (const auto& stream : job->streams) tokens.push_back(stream->take().tokens);
    return std::pair(tokens, most_blocks);
  };
  const auto [six, blocks] = answers(6, 4096);
  ASSERT_EQ(six.size(), 6u);
  EXPECT_LE(blocks, 6u + 6 * 3);  // 6 full blocks once, then each its own; without sharing 6 * 9
  EXPECT_NE(six[0], six[1]);
  const auto [two, blocks_of_two] = answers(2, 4096);
  EXPECT_EQ(two[0], six[0]);
  EXPECT_EQ(two[1], six[1]);
  EXPECT_EQ(answers(1, 4096).first[0], six[0]);
  EXPECT_EQ(answers(6, 16 * 16).first, six) << "with preemptions";
}

TEST(Choices, EndTogetherWhereNothingIsToBeGenerated) {
  const auto engine = load({.model = kStories});
  auto request = greedy(prompt_of(40, 512), 0);
  request.choices = 3;
  auto job = engine->submit(request);
  run(*engine);
  for (const auto& stream : job->streams) EXPECT_EQ(stream->take().finish, FinishReason::kLength);
  request.max_tokens = 10;
  job = engine->submit(request);
  job->cancel();  // before it ever ran
  run(*engine);
  for (const auto& stream : job->streams) EXPECT_EQ(stream->take().finish, FinishReason::kCancelled);
  job = engine->submit(request);
  engine->step();
  engine->step();
  job->cancel();  // after the fork: all of them
  EXPECT_FALSE(engine->step());
  for (const auto& stream : job->streams) EXPECT_EQ(stream->take().finish, FinishReason::kCancelled);
  EXPECT_EQ(engine->kv_stats().in_use_blocks, 0u);
}

TEST(Sharing, APrefixThatIsBeingComputedIsComputedOnce) {
  const auto engine =
      load({.model = kStories, .kv_size = capacity::KvTokens{4096}, .long_prefill_token_threshold = 32});
  std::vector<Job> jobs;
  for (int i = 0; i < 4; ++i) {
    auto prompt = prompt_of(200, 512);
    prompt[190] = TokenId{i + 1};
    jobs.push_back(*engine->submit(greedy(prompt, 5)));
  }
  run(*engine);
  const kv::KvStats stats = engine->kv_stats();
  EXPECT_EQ(jobs[0].stream->stats().cached_tokens, 0u);
  for (int i = 1; i < 4; ++i) EXPECT_GE(jobs[i].stream->stats().cached_tokens, 176u) << i;
  EXPECT_EQ(stats.queried_tokens, 800u);
  EXPECT_GE(stats.hit_tokens, 3 * 176u);
}

TEST(Sharing, WhenTheProducerIsCancelledAnotherGoesOn) {
  const auto engine =
      load({.model = kStories, .kv_size = capacity::KvTokens{4096}, .long_prefill_token_threshold = 32});
  const auto request = greedy(prompt_of(200, 512), 5);
  const auto expected = plain(kStories, KvType::kF16, request).tokens;
  std::vector<Job> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back(*engine->submit(request));
  for (int i = 0; i < 3; ++i) engine->step();
  EXPECT_EQ(engine->running(), 1u);  // the others wait for it
  jobs[0].cancel();
  run(*engine);
  for (int i = 1; i < 3; ++i) EXPECT_EQ(jobs[i].stream->take().tokens, expected);
  EXPECT_GE(jobs[1].stream->stats().cached_tokens, 80u);  // what the first had done by then
}

TEST(Sharing, TenantsOfDifferentSaltsShareNothing) {
  const auto engine = load({.model = kStories, .kv_size = capacity::KvTokens{4096}});
  auto request = greedy(prompt_of(100, 512), 2);
  for (const char* salt : {"a", "b"}) {
    request.cache_salt = salt;
    EXPECT_EQ(generate(*engine, request, kNoLogits).stats.cached_tokens, 0u);
  }
  EXPECT_GT(generate(*engine, request, kNoLogits).stats.cached_tokens, 0u);
}

TEST(Fairness, ATenantWithManyRequestsDoesNotHoldUpOneWithFew) {
  for (const auto fairness : {scheduler::Fairness::kTenants, scheduler::Fairness::kNone}) {
    const auto engine = load({.model = kStories, .max_num_seqs = 1, .fairness = fairness});
    std::vector<Job> many;
    for (std::size_t i = 0; i < 8; ++i) {
      auto request = greedy(prompt_of(20 + i, 512), 20);
      request.tenant = 1;
      many.push_back(*engine->submit(request));
    }
    auto request = greedy(prompt_of(50, 512), 20);
    request.tenant = 2;
    const Job one = *engine->submit(request);
    while (!one.stream->finished()) engine->step();
    const auto ended = std::ranges::count_if(many, [](const Job& job) { return job.stream->finished(); });
    EXPECT_EQ(ended, fairness == scheduler::Fairness::kTenants ? 1 : 8);
    run(*engine);
  }
}

TEST(Limits, ADeadlineEndsAnAnswerWhereItStands) {
  const auto engine = load({.model = kStories});
  auto request = greedy(prompt_of(40, 512), 400);
  request.deadline_ms = 1e-3;  // over before the first step
  auto late = engine->submit(request);
  request.deadline_ms = 1e9;
  request.max_tokens = 5;
  auto early = engine->submit(request);
  run(*engine);
  EXPECT_EQ(late->stream->take().finish, FinishReason::kDeadline);
  EXPECT_EQ(early->stream->take().finish, FinishReason::kLength);
}

TEST(Limits, DrainFinishesWhatIsThereAndTakesNoMore) {
  const auto engine = load({.model = kStories});
  auto job = engine->submit(greedy(prompt_of(40, 512), 20));
  engine->drain();
  EXPECT_EQ(job->stream->take().tokens.size(), 20u);
  const auto refused = engine->submit(greedy(prompt_of(40, 512), 20));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, testing::HasSubstr("about to stop"));
}

TEST(Limits, WhatCanNeverFitIsRefusedAtOnceWithWhatWould) {
  const auto engine = load({.model = kStories, .kv_size = capacity::KvTokens{64}});
  const auto message = [&](GenerationRequest request) {
    auto job = engine->submit(std::move(request));
    return job ? std::string("accepted") : job.error().message;
  };
  EXPECT_THAT(message(greedy(prompt_of(64, 512), 10)), testing::HasSubstr("shorten it to 63"));
  EXPECT_EQ(message(greedy(prompt_of(63, 512), 10)), "accepted");
  auto many = greedy(prompt_of(10, 512), 2);
  many.choices = 65;
  EXPECT_THAT(message(many), testing::HasSubstr("from 1 to 64"));
  many.choices = 0;
  EXPECT_THAT(message(many), testing::HasSubstr("n is 0"));
  run(*engine);
}

TEST(Limits, TooManyUnfinishedAnswersAreRefused) {
  const auto engine = load({.model = kStories});
  std::size_t accepted = 0;
  while (engine->submit(greedy({TokenId{1}}, 1))) ++accepted;
  EXPECT_EQ(accepted, kMaxSequences);
  run(*engine);
  EXPECT_TRUE(engine->submit(greedy({TokenId{1}}, 1)).has_value());
}

TEST(Limits, OptionsThatContradictEachOther) {
  const auto message = [](const EngineOptions& options) {
    auto engine = Engine::load(options);
    return engine ? std::string("loaded") : engine.error().message;
  };
  EXPECT_THAT(message({.model = kStories, .step_tokens = 8, .max_num_seqs = 9}),
              testing::HasSubstr("--max-num-batched-tokens 8"));
  EXPECT_THAT(message({.model = kStories, .step_budget_ms = -1}), testing::HasSubstr("step budget"));
}

}  // namespace
}  // namespace folio::engine
