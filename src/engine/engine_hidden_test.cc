// Requests that want hidden states instead of tokens: the rows are those from which logits are made, and the
// numeric contracts hold for them as for logits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/engine_testing.h"
#include "support/models.h"
#include "weights/open.h"

namespace folio::engine {
namespace {

using namespace testing_support;
using test::kModels;
using test::kStories;

struct Hidden {
  std::map<std::size_t, std::vector<float>> rows;  // by position
  std::vector<float> embedding;
  GenerationStats stats;
  bool operator==(const Hidden& other) const { return rows == other.rows && embedding == other.embedding; }
};

GenerationRequest pooled(std::vector<TokenId> prompt, Pooling pooling) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = 0;
  request.pooling = pooling;
  return request;
}

Job submit_hidden(Engine& engine, GenerationRequest request, Hidden& hidden) {
  request.on_hidden = [&hidden](std::size_t position, std::span<const float> row) {
    const auto [entry, fresh] = hidden.rows.try_emplace(position, row.begin(), row.end());
    EXPECT_TRUE(fresh || std::ranges::equal(entry->second, row)) << "position " << position;
  };
  auto job = engine.submit(std::move(request));
  EXPECT_TRUE(job.has_value()) << (job ? "" : job.error().message);
  return *job;
}

void take(const Job& job, Hidden& hidden) {
  const Delta delta = job.stream->take();
  EXPECT_EQ(delta.finish, FinishReason::kStop);
  EXPECT_TRUE(delta.tokens.empty());
  hidden.embedding = delta.embedding;
  hidden.stats = job.stream->stats();
}

Hidden hidden_of(Engine& engine, const GenerationRequest& request) {
  Hidden hidden;
  const Job job = submit_hidden(engine, request, hidden);
  run(engine);
  take(job, hidden);
  return hidden;
}

GenerationRequest all_rows(std::vector<TokenId> prompt) {
  auto request = pooled(std::move(prompt), Pooling::kMean);
  request.hidden_from = 0;
  return request;
}

// One thread, the whole prompt in one step, a cold cache.
Hidden plain_hidden(const std::string& model, KvType type, const GenerationRequest& request) {
  const auto engine = load({.model = model, .kv_type = type, .threads = 1});
  return hidden_of(*engine, request);
}

// [vocab, hidden], of a model that stores it as floats.
std::vector<float> output_matrix(const std::string& path, std::size_t floats) {
  const auto files = weights::open_model(path);
  const auto& store = std::get<weights::GgufModel>(*files).tensors;
  const weights::Tensor* tensor = store.find("output.weight");
  if (tensor == nullptr) tensor = store.find("token_embd.weight");
  EXPECT_TRUE(tensor != nullptr && tensor->data.size() == floats * sizeof(float));
  std::vector<float> values(floats);
  std::memcpy(values.data(), tensor->data.data(), floats * sizeof(float));
  return values;
}

// What the output matrix makes of a hidden state, added up in double, is the logits that the engine reports
// for that position, but for the roundings of n products and sums in float.
TEST(Hidden, IsWhatLogitsAreMadeOf) {
  const auto engine = load({.model = kStories, .kv_type = KvType::kF32});
  const std::size_t vocab = engine->config().vocab, width = engine->config().hidden;
  const std::vector<float> matrix = output_matrix(kStories, vocab * width);
  const auto prompt = prompt_of(40, 512);
  const Hidden hidden = hidden_of(*engine, all_rows(prompt));
  const Output answer = generate(*engine, greedy(prompt, 1));
  ASSERT_EQ(hidden.rows.size(), 40u);
  for (const auto& [position, row] : hidden.rows)
    for (std::size_t token = 0; token < vocab; ++token) {
      double sum = 0, size = 0;
      for (std::size_t i = 0; i < width; ++i) {
        const double product = double{row[i]} * matrix[token * width + i];
        sum += product;
        size += std::abs(product);
      }
      ASSERT_NEAR(answer.logits.at(position)[token], sum, static_cast<double>(width + 1) * 0x1p-23 * size)
          << "position " << position << " token " << token;
    }
}

TEST(Hidden, NeitherChunksNorThreadsShow) {
  for (const std::string& model : kModels)
    for (KvType type : {KvType::kF32, KvType::kF16}) {
      const auto request = all_rows(prompt_of(150, 256));
      const Hidden expected = plain_hidden(model, type, request);
      ASSERT_EQ(expected.rows.size(), 150u);
      for (std::size_t chunk : {1, 7, 16, 17, 512})
        for (int threads : {1, 3}) {
          const auto engine =
              load({.model = model, .kv_type = type, .step_tokens = chunk, .threads = threads});
          EXPECT_EQ(hidden_of(*engine, request), expected)
              << model << " " << name(type) << " in chunks of " << chunk << ", " << threads << " threads";
        }
    }
}

// Beside answers and each other, with room for all and with preemptions; the answers do not notice either.
TEST(Hidden, NeitherACrowdNorPreemptionsShow) {
  for (const std::string& model : kModels) {
    std::vector<GenerationRequest> requests;
    std::vector<Hidden> expected;
    for (std::size_t i = 0; i < 5; ++i) {
      requests.push_back(i % 2 == 0 ? all_rows(prompt_of(50 + 23 * ((i + 2) % 5), 256))
                                    : pooled(prompt_of(50 + 23 * ((i + 2) % 5), 200), Pooling::kLast));
      expected.push_back(plain_hidden(model, KvType::kF16, requests.back()));
    }
    const auto talk = greedy(prompt_of(60, 250), 110);
    const Output expected_talk = plain(model, KvType::kF16, talk);
    for (const std::size_t kv_tokens : {2048, 256}) {
      const auto engine = load({.model = model,
                                .context_tokens = 192,
                                .kv_size = capacity::KvTokens{kv_tokens},
                                .kv_type = KvType::kF16,
                                .step_tokens = kv_tokens == 256 ? 3u : 40u,
                                .threads = 2});
      std::vector<Hidden> hidden(requests.size());
      std::vector<Job> jobs;
      Output first, second;
      const Job a = submit(*engine, talk, 0, first), b = submit(*engine, talk, 0, second);
      for (std::size_t i = 0; i < requests.size(); ++i)
        jobs.push_back(submit_hidden(*engine, requests[i], hidden[i]));
      run(*engine);
      for (std::size_t i = 0; i < requests.size(); ++i) {
        take(jobs[i], hidden[i]);
        EXPECT_EQ(hidden[i], expected[i]) << model << " request " << i << ", " << kv_tokens << " tokens";
      }
      first.tokens = a.stream->take().tokens;
      second.tokens = b.stream->take().tokens;
      EXPECT_EQ(first, expected_talk) << model;
      EXPECT_EQ(second, expected_talk) << model;
      std::size_t preempted = 0;
      for (const Hidden& each : hidden) preempted += each.stats.preemptions;
      EXPECT_EQ(preempted > 0, kv_tokens == 256) << "the pool is not tight enough";
    }
  }
}

TEST(Pooling, IsTheMeanOfTheRowsOrTheLast) {
  const auto prompt = prompt_of(70, 512);
  const Hidden rows = plain_hidden(kStories, KvType::kF16, all_rows(prompt));
  const std::size_t width = rows.rows.at(0).size();
  ASSERT_EQ(rows.embedding.size(), width);
  for (std::size_t i = 0; i < width; ++i) {
    double sum = 0;
    for (const auto& [position, row] : rows.rows) sum += row[i];
    EXPECT_EQ(rows.embedding[i], static_cast<float>(sum / 70)) << i;
  }
  const Hidden last = plain_hidden(kStories, KvType::kF16, pooled(prompt, Pooling::kLast));
  EXPECT_EQ(last.embedding, rows.rows.at(69));
  EXPECT_TRUE(last.rows.empty()) << "no row was asked for";
}

TEST(Pooling, ReusesWhatItNeedNotSee) {
  const auto engine = load({.model = kStories, .kv_type = KvType::kF16});
  const auto prompt = prompt_of(97, 512);
  const Hidden cold = hidden_of(*engine, pooled(prompt, Pooling::kLast));
  EXPECT_EQ(cold.stats.cached_tokens, 0u);
  const Hidden warm = hidden_of(*engine, pooled(prompt, Pooling::kLast));
  EXPECT_EQ(warm.stats.cached_tokens, 96u);
  EXPECT_EQ(warm, cold);
  const auto before = engine->kv_stats();
  const Hidden mean = hidden_of(*engine, pooled(prompt, Pooling::kMean));
  EXPECT_EQ(mean.stats.cached_tokens, 0u);
  EXPECT_EQ(engine->kv_stats().hit_tokens, before.hit_tokens) << "a hit that nobody read";
  EXPECT_EQ(mean, plain_hidden(kStories, KvType::kF16, pooled(prompt, Pooling::kMean)));
  auto tail = pooled(prompt, Pooling::kNone);
  tail.hidden_from = 40;
  const Hidden rows = hidden_of(*engine, tail);
  EXPECT_EQ(rows.rows.size(), 57u);
  EXPECT_EQ(rows.stats.cached_tokens, 39u) << "of the first 40, all but one";
  EXPECT_EQ(rows.rows.at(96), cold.embedding);
}

// What a pooled prompt leaves in the cache serves answers, and the other way round.
TEST(Pooling, SharesBlocksWithAnswers) {
  const auto engine = load({.model = kStories, .kv_type = KvType::kF16});
  const auto prompt = prompt_of(97, 512);
  hidden_of(*engine, pooled(prompt, Pooling::kMean));
  const Output warm = generate(*engine, greedy(prompt, 9), 96);
  EXPECT_EQ(warm.stats.cached_tokens, 95u);
  EXPECT_EQ(warm.tokens, plain(kStories, KvType::kF16, greedy(prompt, 9)).tokens);
}

TEST(Pooling, TakesAPromptAsLongAsTheContextAndAsShortAsOneToken) {
  const auto engine = load({.model = kStories, .context_tokens = 64, .kv_type = KvType::kF16});
  EXPECT_EQ(hidden_of(*engine, all_rows(prompt_of(64, 512))).rows.size(), 64u);
  const Hidden one = hidden_of(*engine, all_rows({TokenId{1}}));
  EXPECT_EQ(one.embedding, one.rows.at(0));
  EXPECT_EQ(hidden_of(*engine, pooled({TokenId{1}}, Pooling::kLast)).embedding, one.embedding);
  EXPECT_FALSE(engine->submit(pooled(prompt_of(65, 512), Pooling::kMean)).has_value());
}

TEST(Pooling, RefusesWhatHasNoPlaceInIt) {
  const auto engine = load({.model = kStories});
  const auto good = pooled(prompt_of(5, 512), Pooling::kMean);
  std::vector<GenerationRequest> bad(5, good);
  bad[0].max_tokens = 1;
  bad[1].choices = 2;
  bad[2].logprobs = 0;
  bad[3].prompt_logprobs = 0;
  bad[4].on_logits = [](std::size_t, std::span<const float>) {};
  for (const GenerationRequest& request : bad) {
    const auto job = engine->submit(request);
    ASSERT_FALSE(job.has_value());
    EXPECT_THAT(job.error().message, testing::HasSubstr("hidden states are given instead of an answer"));
  }
  EXPECT_TRUE(engine->submit(good).has_value());
  engine->drain();
}

}  // namespace
}  // namespace folio::engine
