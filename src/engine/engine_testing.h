// For tests of the engine: small models, requests, and answers with their logits.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace folio::engine::testing_support {

using kernels::KvType;
inline std::unique_ptr<Engine> load(const EngineOptions& options) {
  auto engine = Engine::load(options);
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().message);
  return engine ? std::move(*engine) : nullptr;
}

// A clock that shows what the test says; `now_ms` outlives it.
class ManualTime final : public TimeSource {
 public:
  explicit ManualTime(const double& now_ms) : now_ms_(now_ms) {}
  double now_ms() const override { return now_ms_; }

 private:
  const double& now_ms_;
};

// As load(), with the test's clock.
inline std::unique_ptr<Engine> load(const EngineOptions& options, const double& now_ms) {
  auto parts = load_parts(options);
  EXPECT_TRUE(parts.has_value()) << (parts ? "" : parts.error().message);
  if (!parts) return nullptr;
  parts->time = std::make_unique<ManualTime>(now_ms);
  auto engine = Engine::assemble(std::move(*parts));
  EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().message);
  return engine ? std::move(*engine) : nullptr;
}

inline std::vector<TokenId> prompt_of(std::size_t length, std::uint32_t vocab) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < length; ++i)
    tokens.push_back(TokenId{static_cast<int>((i * i * 31 + i * 7 + 5) % vocab)});
  return tokens;
}

struct Output {
  std::vector<TokenId> tokens;
  std::map<std::size_t, std::vector<float>> logits;  // by position
  GenerationStats stats;
  bool operator==(const Output& other) const { return tokens == other.tokens && logits == other.logits; }
};

inline GenerationRequest greedy(std::vector<TokenId> prompt, std::size_t max_tokens) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.end_tokens = EndTokens::kIgnore;
  return request;
}

// Keeps the logits from `logits_from` on. The caller runs the engine before it looks.
inline Job submit(Engine& engine, GenerationRequest request, std::size_t logits_from, Output& output) {
  request.logits_from = logits_from;
  request.on_logits = [&output](std::size_t position, std::span<const float> logits) {
    const auto [entry, fresh] = output.logits.try_emplace(position, logits.begin(), logits.end());
    // An engine that recomputes comes by a position again and again, with the same bits each time.
    EXPECT_TRUE(fresh || std::ranges::equal(entry->second, logits)) << "position " << position;
  };
  auto job = engine.submit(std::move(request));
  EXPECT_TRUE(job.has_value()) << (job ? "" : job.error().message);
  return *job;
}

inline void run(Engine& engine) {
  while (engine.step()) {
    const Status sound = engine.check_integrity();
    ASSERT_TRUE(sound.has_value()) << sound.error().message;
  }
}

inline Output generate(Engine& engine, const GenerationRequest& request, std::size_t logits_from = 0) {
  Output output;
  const Job job = submit(engine, request, logits_from, output);
  run(engine);
  output.tokens = job.stream->take().tokens;
  output.stats = job.stream->stats();
  return output;
}

// The reference for everything below: one thread, the whole prompt in one step, a cold cache.
inline Output plain(const std::string& model, KvType type, const GenerationRequest& request) {
  const auto engine = load({.model = model, .kv_type = type, .threads = 1});
  return generate(*engine, request);
}

}  // namespace folio::engine::testing_support
