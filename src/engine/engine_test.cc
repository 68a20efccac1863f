// The engine on real (small) models: the three numeric contracts, and the life of a request.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <numeric>
#include <thread>

#include "engine/engine_testing.h"
#include "support/models.h"

namespace folio::engine {
namespace {

using kernels::KvType;
using namespace testing_support;
using test::fixture;
using test::kModels;
using test::kStories;

TEST(Exactness, CachedDecodingEqualsRecomputation) {
  for (const std::string& model : kModels)
    for (KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16}) {
      const auto cached = load({.model = model, .kv_type = type});
      const auto recomputing = load({.model = model, .kv_type = type, .kv_use = KvUse::kRecompute});
      const auto request = greedy(prompt_of(37, cached->config().vocab), 24);
      const Output a = generate(*cached, request, 36), b = generate(*recomputing, request, 36);
      ASSERT_EQ(a.tokens.size(), 24u);
      ASSERT_EQ(a.logits.size(), 24u);
      EXPECT_EQ(a, b) << model << " " << name(type);
    }
}

// What the comparison above compares with: every step computes all tokens that are known.
TEST(Exactness, RecomputationComputesEverythingInEveryStep) {
  const auto rows_of_steps = [](KvUse use) {
    const auto engine = load({.model = kModels[0], .kv_use = use});
    EXPECT_TRUE(engine->submit(greedy(prompt_of(37, 256), 24)).has_value());
    std::vector<std::size_t> rows;
    while (engine->step()) rows.push_back(engine->last_step_tokens());
    return rows;
  };
  std::vector<std::size_t> cached{37}, recomputed{37};
  for (std::size_t known = 38; known < 37 + 24; ++known) {
    cached.push_back(1);
    recomputed.push_back(known);
  }
  EXPECT_EQ(rows_of_steps(KvUse::kCache), cached);
  EXPECT_EQ(rows_of_steps(KvUse::kRecompute), recomputed);
}

TEST(Exactness, ChunksOfThePromptDoNotShow) {
  for (const std::string& model : kModels)
    for (KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16}) {
      const auto request = greedy(prompt_of(150, 256), 4);
      const Output expected = plain(model, type, request);
      for (std::size_t chunk : {1, 7, 16, 17}) {
        const auto engine = load({.model = model, .kv_type = type, .step_tokens = chunk});
        EXPECT_EQ(generate(*engine, request), expected)
            << model << " " << name(type) << " in chunks of " << chunk;
      }
    }
}

TEST(Exactness, AnAbandonedStepDoesNotShow) {
  const auto engine = load({.model = kModels[2], .kv_type = KvType::kF16, .step_tokens = 32});
  const auto request = greedy(prompt_of(150, 256), 12);
  const Output expected = plain(kModels[2], KvType::kF16, request);
  Output output;
  const Job job = submit(*engine, request, 0, output);
  std::atomic<bool> abandon = false;
  for (int step = 0;; ++step) {
    abandon = step % 3 != 0;
    const std::size_t reported = output.logits.size();
    if (!engine->step(&abandon)) break;
    if (abandon) {
      EXPECT_EQ(output.logits.size(), reported) << "nothing of an abandoned step is reported";
    }
    const Status sound = engine->check_integrity();
    ASSERT_TRUE(sound.has_value()) << sound.error().message;
  }
  output.tokens = job.stream->take().tokens;
  EXPECT_EQ(output, expected);
}

// Sixteen bits everywhere instead of where values stand out: other numbers, the same contracts.
TEST(Exactness, HoldsWithSixteenBitActivations) {
  for (const std::string& model : {kModels[2], kModels[3]}) {
    const EngineOptions options{
        .model = model, .kv_type = KvType::kF16, .threads = 1, .arithmetic = kernels::Arithmetic::kInt16};
    const auto request = greedy(prompt_of(150, 256), 12);
    const Output expected = generate(*load(options), request);
    EXPECT_NE(expected.logits, plain(model, KvType::kF16, request).logits) << "the option does nothing";
    EngineOptions other = options;
    other.step_tokens = 17;
    EXPECT_EQ(generate(*load(other), request), expected) << model << " in chunks";
    other.threads = 3;
    EXPECT_EQ(generate(*load(other), request), expected) << model << " with 3 threads";
    other.kv_use = KvUse::kRecompute;
    EXPECT_EQ(generate(*load(other), request, 149).tokens, expected.tokens) << model << " recomputed";
    const auto warm = load(options);
    generate(*warm, request);
    const Output again = generate(*warm, request, 149);
    EXPECT_GT(again.stats.cached_tokens, 0u);
    EXPECT_EQ(again.tokens, expected.tokens) << model << " from the cache";
  }
}

TEST(Exactness, ThreadCountDoesNotShow) {
  for (const std::string& model : kModels) {
    const auto request = greedy(prompt_of(150, 256), 4);
    const Output expected = plain(model, KvType::kF16, request);
    for (int threads : {2, 3, 5}) {
      const auto engine = load({.model = model, .kv_type = KvType::kF16, .threads = threads});
      EXPECT_EQ(generate(*engine, request), expected) << model << " with " << threads << " threads";
    }
  }
}

TEST(Exactness, ThreadsShareASequenceOfSeveralSplits) {
  const std::string model = fixture("stories260k/stories260k.gguf");
  const auto request = greedy(prompt_of(300, 512), 6);
  const Output expected = plain(model, KvType::kBF16, request);
  const auto engine = load({.model = model, .kv_type = KvType::kBF16, .threads = 5});
  EXPECT_EQ(generate(*engine, request), expected);
}

TEST(Exactness, APrefixFoundEqualsAPrefixComputed) {
  for (const std::string& model : kModels)
    for (std::uint32_t block_tokens : {16u, 32u}) {
      const auto engine = load({.model = model, .kv_type = KvType::kF16, .block_tokens = block_tokens});
      const auto request = greedy(prompt_of(150, 256), 8);
      const Output cold = generate(*engine, request, 149), warm = generate(*engine, request, 149);
      EXPECT_EQ(cold.stats.cached_tokens, 0u);
      EXPECT_EQ(warm.stats.cached_tokens, 149 / block_tokens * block_tokens);
      EXPECT_EQ(cold, warm) << model;
    }
}

TEST(Exactness, ANeighbourInTheBatchDoesNotShow) {
  for (const std::string& model : kModels) {
    const auto first = greedy(prompt_of(90, 256), 10), second = greedy(prompt_of(33, 200), 20);
    const Output expected_first = plain(model, KvType::kF16, first),
                 expected_second = plain(model, KvType::kF16, second);
    const auto engine = load(
        {.model = model, .kv_size = capacity::KvTokens{1024}, .kv_type = KvType::kF16, .step_tokens = 50});
    Output a, b;
    const Job job_a = submit(*engine, first, 0, a), job_b = submit(*engine, second, 0, b);
    run(*engine);
    a.tokens = job_a.stream->take().tokens;
    b.tokens = job_b.stream->take().tokens;
    EXPECT_EQ(a, expected_first) << model;
    EXPECT_EQ(b, expected_second) << model;
  }
}

TEST(Exactness, TheBlocksOfAnAnswerServeTheNextTurn) {
  const auto engine = load({.model = fixture("stories260k/stories260k.gguf"), .kv_type = KvType::kF16});
  const auto turn = greedy(prompt_of(20, 512), 60);
  const Output answer = generate(*engine, turn, kNoLogits);
  auto next = turn.prompt;
  next.insert(next.end(), answer.tokens.begin(), answer.tokens.end());
  next.push_back(TokenId{7});
  const Output warm = generate(*engine, greedy(next, 5), next.size() - 1);
  EXPECT_EQ(warm.stats.cached_tokens, 64u);  // 79 tokens have K and V; 4 blocks of 16 are full
  EXPECT_EQ(warm.tokens,
            plain(fixture("stories260k/stories260k.gguf"), KvType::kF16, greedy(next, 5)).tokens);
}

class EngineLife : public testing::Test {
 protected:
  std::unique_ptr<Engine> engine_ = load({.model = fixture("stories260k/stories260k.gguf"), .threads = 1});
};

TEST_F(EngineLife, PrintsThePublishedStory) {
  auto request = greedy({TokenId{1}}, 200);
  auto job = engine_->submit(request);
  std::string text;
  while (engine_->step()) text += job->stream->take().text;
  text += job->stream->take().text;
  EXPECT_TRUE(text.starts_with("Once upon a time, there was a little girl named Lily.")) << text;
  EXPECT_EQ(job->stream->stats().generated_tokens, 200u);
}

TEST_F(EngineLife, StopTextEndsTheAnswerAndIsNotShown) {
  auto request = greedy({TokenId{1}}, 200);
  request.stop = {"little girl"};
  auto job = engine_->submit(request);
  while (engine_->step()) {
  }
  const Delta all = job->stream->take();
  EXPECT_EQ(all.text, "Once upon a time, there was a ");
  EXPECT_EQ(all.finish, FinishReason::kStop);
}

TEST_F(EngineLife, CancelFreesTheBlocksWithinOneStep) {
  auto job = engine_->submit(greedy({TokenId{1}}, 200));
  for (int i = 0; i < 5; ++i) engine_->step();
  EXPECT_GT(engine_->kv_stats().in_use_blocks, 0u);
  job->cancel();
  EXPECT_FALSE(engine_->step());
  EXPECT_EQ(engine_->kv_stats().in_use_blocks, 0u);
  EXPECT_EQ(job->stream->take().finish, FinishReason::kCancelled);
  job->cancel();  // too late: ignored
  EXPECT_FALSE(engine_->step());
}

// Between two steps any number may be cancelled, any number of times: a flag each, no queue to overflow.
TEST_F(EngineLife, NoCancellationIsLostAmongThousands) {
  const auto first = engine_->submit(greedy({TokenId{1}}, 200));
  const auto other = engine_->submit(greedy({TokenId{2}}, 200));
  engine_->step();
  first->cancel();
  for (std::size_t i = 0; i < 8 * kMaxSequences; ++i) other->cancel();
  EXPECT_FALSE(engine_->step());
  EXPECT_EQ(first->stream->take().finish, FinishReason::kCancelled);
  EXPECT_EQ(other->stream->take().finish, FinishReason::kCancelled);
}

// The step that ends one generation gives its blocks to the next: the pool has room for one of them only.
TEST_F(EngineLife, TheStepOfACancellationRunsWhoeverWaitedForTheBlocks) {
  const auto engine = load({.model = fixture("stories260k/stories260k.gguf"), .context_tokens = 64});
  auto first = engine->submit(greedy(prompt_of(40, 512), 20));
  auto second = engine->submit(greedy(prompt_of(50, 500), 10));
  for (int i = 0; i < 4; ++i) engine->step();
  EXPECT_EQ(first->stream->take().tokens.size(), 4u);
  EXPECT_EQ(engine->waiting(), 1u);
  first->cancel();
  engine->step();
  EXPECT_EQ(second->stream->take().tokens.size(), 1u);
  EXPECT_EQ(engine->running(), 1u);
  EXPECT_EQ(engine->kv_stats().in_use_blocks, 4u);
}

TEST_F(EngineLife, SubmitAndCancelFromOtherThreads) {
  std::vector<std::jthread> threads;
  std::vector<std::shared_ptr<TokenStream>> streams(8);
  for (std::size_t i = 0; i < streams.size(); ++i)
    threads.emplace_back([&, i] {
      auto job = engine_->submit(greedy({TokenId{1}, TokenId{static_cast<int>(i + 5)}}, 20));
      ASSERT_TRUE(job.has_value());
      streams[i] = job->stream;
      if (i % 2 == 1) job->cancel();
    });
  for (int i = 0; i < 500; ++i) engine_->step();
  threads.clear();  // joins
  run(*engine_);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    ASSERT_TRUE(streams[i]->finished());
    const Delta delta = streams[i]->wait();
    if (i % 2 == 0) {
      EXPECT_EQ(delta.tokens.size(), 20u);
    }
  }
  EXPECT_EQ(engine_->kv_stats().in_use_blocks, 0u);
}

TEST_F(EngineLife, TheContextEndsAnAnswer) {
  const auto engine = load({.model = fixture("stories260k/stories260k.gguf"), .context_tokens = 48});
  auto job = engine->submit(greedy(prompt_of(40, 512), 1000));
  while (engine->step()) {
  }
  EXPECT_EQ(job->stream->stats().generated_tokens, 8u);
  EXPECT_EQ(job->stream->take().finish, FinishReason::kLength);
}

TEST_F(EngineLife, MoreRequestsThanBlocksAllGetTheirTurn) {
  const auto engine = load({.model = fixture("stories260k/stories260k.gguf"), .context_tokens = 64});
  std::vector<Job> jobs;
  for (int i = 0; i < 6; ++i) jobs.push_back(*engine->submit(greedy({TokenId{1}, TokenId{i + 3}}, 40)));
  run(*engine);
  for (const Job& job : jobs) EXPECT_EQ(job.stream->stats().generated_tokens, 40u);
}

TEST_F(EngineLife, RefusesWhatCannotWork) {
  const auto message = [&](GenerationRequest request) {
    auto job = engine_->submit(std::move(request));
    return job ? std::string("accepted") : job.error().message;
  };
  EXPECT_THAT(message(greedy({}, 1)), testing::HasSubstr("prompt is empty"));
  EXPECT_THAT(message(greedy({TokenId{512}}, 1)), testing::HasSubstr("token 512"));
  EXPECT_THAT(message(greedy({TokenId{-1}}, 1)), testing::HasSubstr("token -1"));
  EXPECT_THAT(message(greedy(prompt_of(512, 512), 1)), testing::HasSubstr("512 tokens"));
  EXPECT_EQ(message(greedy(prompt_of(512, 512), 0)), "accepted");
  auto hot = greedy({TokenId{1}}, 1);
  hot.sampling.temperature = -1;
  EXPECT_THAT(message(hot), testing::HasSubstr("temperature"));
  auto stop = greedy({TokenId{1}}, 1);
  stop.stop = {""};
  EXPECT_THAT(message(stop), testing::HasSubstr("stop text"));
}

TEST(EngineLoad, SaysWhatIsWrong) {
  const auto message = [](const EngineOptions& options) {
    auto engine = Engine::load(options);
    return engine ? std::string("loaded") : engine.error().message;
  };
  const std::string model = fixture("stories260k/stories260k.gguf");
  EXPECT_THAT(message({.model = "/nowhere/model.gguf"}), testing::HasSubstr("/nowhere/model.gguf"));
  EXPECT_THAT(message({.model = model, .context_tokens = 513}), testing::HasSubstr("513"));
  EXPECT_THAT(message({.model = model, .block_tokens = 24}), testing::HasSubstr("24"));
  EXPECT_THAT(message({.model = model, .threads = 100000}), testing::HasSubstr("--threads"));
}

TEST(EngineLoad, QuantisesWhileLoading) {
  const std::string model = fixture("llama-mha");
  const auto stored = load({.model = model});
  const auto q8 = load({.model = model, .quantize = kernels::TensorType::kQ8_0});
  EXPECT_LT(q8->memory_use().weight_bytes, stored->memory_use().weight_bytes);
  const auto request = greedy(prompt_of(20, 256), 0);
  const Output a = generate(*stored, request), b = generate(*q8, request);
  double worst = 0;
  for (const auto& [position, logits] : a.logits)
    for (std::size_t j = 0; j < logits.size(); ++j)
      worst = std::max(worst, static_cast<double>(std::abs(logits[j] - b.logits.at(position)[j])));
  EXPECT_GT(worst, 0);
  EXPECT_LT(worst, 0.5);  // of logits with a standard deviation of 2
}

TEST(Engine, MeasuresLifetimesOfBlocksWhereAsked) {
  EXPECT_EQ(load({.model = kStories})->kv_residency(), nullptr);
  const auto engine = load({.model = kStories, .residency_share = 1});
  ASSERT_NE(engine->kv_residency(), nullptr);
  for (int turn = 0; turn < 2; ++turn) generate(*engine, greedy(prompt_of(40, 512), 1), kNoLogits);
  const auto& gaps = engine->kv_residency()->times().reuse_gap.counts;
  EXPECT_EQ(std::accumulate(gaps.begin(), gaps.end(), std::uint64_t{0}), 2u);
}

}  // namespace
}  // namespace folio::engine
