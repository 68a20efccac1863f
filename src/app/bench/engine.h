// BenchEngine: one loaded model and what can be timed on it. The only part of the benchmarks that talks to
// the engine.
#pragma once

#include <cstdint>
#include <memory>

#include "app/bench/fill.h"
#include "app/bench/options.h"
#include "base/result.h"
#include "engine/engine.h"

namespace folio::app {

// Streams of `depth` tokens already in the cache and `prompt` tokens to compute, each of which then generates
// `generate` tokens, all at once.
//
//   stream   |---- depth ----|---- prompt ----|---- generate ----|
//             in the cache     timed: prefill   timed: decode
struct RunShape {
  std::size_t prompt = 0, generate = 0;
  std::size_t depth = 0;  // a multiple of the block length
  std::size_t streams = 1;
  SharedPrefix shared = SharedPrefix::kOff;

  std::size_t length() const;  // tokens of one stream at most, with what timing needs around it
};

struct RunTimes {
  double prefill_s = 0;  // from the first submission to the last stream's first token
  double decode_s = 0;   // of steps in which every stream generates
  std::size_t decode_tokens = 0;
};

struct BenchEngineOptions {
  engine::EngineOptions engine;
  std::size_t context_tokens = 0;  // the longest length() that will be run
  std::size_t kv_tokens = 0;       // the most that the streams of one run hold together
};

class BenchEngine {
 public:
  // Errors: those of Engine::load(), and a KV cache larger than the memory that is there.
  [[nodiscard]] static Result<BenchEngine> load(BenchEngineOptions options);

  // Puts the depth into the cache; once before the repetitions of a shape.
  [[nodiscard]] Status prepare(const RunShape& shape);
  // One repetition: new prompts behind the same depth. Errors: a request that the engine refuses; a depth
  // that is no longer in the cache.
  [[nodiscard]] Result<RunTimes> run(const RunShape& shape);

  double load_s() const { return load_s_; }
  const engine::Engine& engine() const { return *engine_; }

 private:
  BenchEngine(std::unique_ptr<engine::Engine> engine, const FillParts& parts, double load_s)
      : engine_(std::move(engine)), parts_(parts), load_s_(load_s) {}

  void append_tokens(std::vector<TokenId>& tokens, std::size_t count, std::uint64_t series) const;
  std::vector<TokenId> depth_tokens(const RunShape& shape, std::size_t stream) const;
  [[nodiscard]] Result<std::vector<engine::Job>> submit(const RunShape& shape, std::size_t own_tokens,
                                                        std::size_t max_tokens);
  [[nodiscard]] Result<double> time_prefill(const RunShape& shape);
  [[nodiscard]] Status time_decode(const RunShape& shape, RunTimes& times);

  std::unique_ptr<engine::Engine> engine_;
  FillParts parts_;  // of it
  double load_s_ = 0;
  std::uint64_t repetition_ = 0;
};

}  // namespace folio::app
