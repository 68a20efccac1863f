// A context that nobody computed: found like any other, by its salt alone.
#include "app/bench/fill.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/engine.h"
#include "support/fixtures.h"

namespace folio::app {
namespace {

using engine::EndTokens;
using engine::Engine;
using engine::FinishReason;
using engine::GenerationRequest;
using engine::GenerationStats;

std::vector<TokenId> tokens_of(std::size_t count) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i) tokens.push_back(TokenId{static_cast<int>(i % 100 + 3)});
  return tokens;
}

struct Filled {
  FillParts parts;
  std::unique_ptr<Engine> engine;

  Status fill(std::span<const TokenId> tokens) const { return fill_context(parts, "bench", tokens); }
};

Filled load(kernels::KvType type) {
  auto parts = engine::load_parts({.model = test::fixture("stories260k/stories260k.gguf"),
                                   .context_tokens = 256,
                                   .kv_size = capacity::KvTokens{512},
                                   .kv_type = type,
                                   .threads = 2});
  EXPECT_TRUE(parts.has_value()) << (parts ? "" : parts.error().message);
  const FillParts fill{.kernels = &parts->kernels,
                       .pool = parts->pool.get(),
                       .cache = parts->cache.get(),
                       .vocab = parts->model->config().vocab};
  auto engine = Engine::assemble(std::move(*parts));
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().message);
  return {.parts = fill, .engine = std::move(*engine)};
}

GenerationStats generate(Engine& engine, std::size_t prompt, const std::string& salt) {
  GenerationRequest request;
  request.prompt = tokens_of(prompt);
  request.max_tokens = 4;
  request.sampling.temperature = 0;
  request.end_tokens = EndTokens::kIgnore;
  request.cache_salt = salt;
  const auto job = engine.submit(std::move(request));
  EXPECT_TRUE(job.has_value());
  while (engine.step()) EXPECT_TRUE(engine.check_integrity().has_value());
  EXPECT_EQ(job->stream->take().finish, FinishReason::kLength);
  return job->stream->stats();
}

TEST(FillContext, IsFoundByItsSaltAlone) {
  for (kernels::KvType type : {kernels::KvType::kF32, kernels::KvType::kF16, kernels::KvType::kBF16}) {
    const Filled filled = load(type);
    const std::unique_ptr<Engine>& engine = filled.engine;
    ASSERT_TRUE(filled.fill(tokens_of(165)).has_value());
    EXPECT_TRUE(engine->check_integrity().has_value());
    EXPECT_EQ(engine->kv_stats().cached_blocks, 10u) << "whole blocks only";
    EXPECT_EQ(generate(*engine, 170, "bench").cached_tokens, 160u);
    EXPECT_EQ(generate(*engine, 170, "").cached_tokens, 0u);
    ASSERT_TRUE(filled.fill(tokens_of(165)).has_value()) << "again";
    EXPECT_TRUE(engine->check_integrity().has_value());
  }
}

// The logits of position 165 behind a filled context of 160.
std::vector<float> logits_behind_fill(Engine& engine) {
  std::vector<float> found;
  GenerationRequest request;
  request.prompt = tokens_of(170);
  request.max_tokens = 1;
  request.cache_salt = "bench";
  request.logits_from = 165;
  request.on_logits = [&](std::size_t position, std::span<const float> logits) {
    if (position == 165) found.assign(logits.begin(), logits.end());
  };
  EXPECT_TRUE(engine.submit(std::move(request)).has_value());
  while (engine.step()) {
  }
  return found;
}

// All blocks hold the same numbers, so it makes no difference in how many calls they were filled.
TEST(FillContext, WritesEveryBlock) {
  const auto at_once = load(kernels::KvType::kF32), in_parts = load(kernels::KvType::kF32);
  ASSERT_TRUE(at_once.fill(tokens_of(160)).has_value());
  for (std::size_t tokens : {16, 80, 160}) ASSERT_TRUE(in_parts.fill(tokens_of(tokens)).has_value());
  const std::vector<float> logits = logits_behind_fill(*at_once.engine);
  ASSERT_EQ(logits.size(), 512u);
  for (float logit : logits) EXPECT_TRUE(std::isfinite(logit));
  EXPECT_EQ(logits, logits_behind_fill(*in_parts.engine));
}

TEST(FillContext, RefusesWhatDoesNotFit) {
  const Filled filled = load(kernels::KvType::kF16);
  const std::unique_ptr<Engine>& engine = filled.engine;
  const auto large = filled.fill(tokens_of(1024));
  ASSERT_FALSE(large.has_value());
  EXPECT_NE(large.error().message.find("1024 tokens"), std::string::npos) << large.error().message;
  const std::vector<TokenId> foreign(16, TokenId{512});
  const auto outside = filled.fill(foreign);
  ASSERT_FALSE(outside.has_value());
  EXPECT_NE(outside.error().message.find("vocabulary"), std::string::npos);
  EXPECT_TRUE(filled.fill({}).has_value());
  EXPECT_EQ(engine->kv_stats().in_use_blocks, 0u);
}

}  // namespace
}  // namespace folio::app
