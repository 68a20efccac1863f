// What many requests at once, found prefixes and shared blocks are worth on a real model. Unlike the rows of
// `folio bench` these are whole requests: tokenised, queued, scheduled, sampled, streamed.
#pragma once

#include <cstddef>
#include <memory>

#include "base/result.h"
#include "engine/engine.h"
#include "options.h"

namespace folio::experiments {

// 32 requests that arrive by chance (prompts of 16 to 64 tokens, answers of 128 to 256), against every fourth
// of them alone. Arrivals: exponential gaps, 16 in the time that one request takes alone.
struct Together {
  std::size_t requests = 0;
  double alone_tokens_per_s = 0, tokens_per_s = 0;  // generated

  double ratio() const { return tokens_per_s / alone_tokens_per_s; }
};
[[nodiscard]] Result<Together> measure_together(engine::Engine& engine);

// A prompt of 2,000 tokens (less where the context is short), for the first time and again: from its text to
// its first token.
struct FirstToken {
  std::size_t prompt_tokens = 0;
  double cold_s = 0, warm_s = 0;
  double tokenise_s = 0, decode_s = 0;  // of the text; of one step behind it

  double ratio() const { return warm_s / (tokenise_s + decode_s); }
};
[[nodiscard]] Result<FirstToken> measure_first_token(engine::Engine& engine);

enum class Branching { kSamples, kBeams };

// Six answers to one prompt: blocks saved, of those that no sharing would take; mean over the steps.
struct Branches {
  std::size_t answers = 0, prompt_tokens = 0, generated_tokens = 0;
  double saved_share = 0;
};
[[nodiscard]] Result<Branches> measure_branches(engine::Engine& engine, Branching branching);

// An engine that holds what these three need, set up by the options.
[[nodiscard]] Result<std::unique_ptr<engine::Engine>> load_for_serving(const Options& options,
                                                                       const std::string& path);

}  // namespace folio::experiments
