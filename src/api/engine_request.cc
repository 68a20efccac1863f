#include "api/engine_request.h"

#include <algorithm>
#include <utility>

namespace folio::api {
namespace {

// A BOS alone begins a text; anything else is gone on with.
bool holds_text(const engine::Engine& engine, const std::vector<TokenId>& tokens) {
  return !std::ranges::all_of(tokens, [&](TokenId token) { return engine.tokenizer().is_special(token); });
}

}  // namespace

engine::GenerationRequest engine_request(const Request& request, const engine::Engine& engine,
                                         std::vector<TokenId> prompt) {
  engine::GenerationRequest made;
  made.prompt = std::move(prompt);
  if (request.endpoint == kCompletions && holds_text(engine, made.prompt))
    made.text_start = text::TextStart::kContinued;
  made.sampling = request.sampling;
  if (request.max_tokens) made.max_tokens = *request.max_tokens;
  const std::string_view next_speaker = engine.chat_template().stop_text();
  if (request.use_beam_search) made.beams = engine::BeamOptions{.length_penalty = request.length_penalty};
  made.stop = request.stop;
  if (request.endpoint == kChat && !next_speaker.empty() && !made.beams) {
    std::vector<std::string> stop(request.stop.begin(), request.stop.end());
    stop.emplace_back(next_speaker);
    made.stop = std::move(stop);
  }
  if (request.ignore_eos) made.end_tokens = engine::EndTokens::kIgnore;
  made.cache_salt = request.cache_salt;
  made.choices = request.n;
  made.logprobs = request.logprobs;
  made.prompt_logprobs = request.prompt_logprobs;
  if (request.echo && request.logprobs)
    made.prompt_logprobs = std::max(*request.logprobs, request.prompt_logprobs.value_or(0));
  made.priority = request.priority;
  made.tenant = request.tenant;
  made.pooling = request.pooling;
  return made;
}

}  // namespace folio::api
