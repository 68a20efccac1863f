// Log-probabilities as the endpoints say them.
//
// Thread rule: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "api/json.h"
#include "api/request.h"
#include "engine/engine.h"

namespace folio::api {

// How tokens are called.
struct TokenNaming {
  const text::Tokenizer& tokenizer;
  TokenNames names = TokenNames::kTexts;
};

// A chat's: {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal"}. A completion's:
// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}; offsets are characters and begin at `offset`,
// which is moved on by the tokens that are part of the text.
[[nodiscard]] Json logprobs_json(Endpoint endpoint, const TokenNaming& naming,
                                 std::span<const sampling::Logprobs> logprobs, std::size_t& offset);

// What is known of a prompt's tokens: `logprobs` are those from the second on, perhaps with more of the most
// likely ones than the `top` that are wanted.
struct PromptLogprobs {
  std::span<const TokenId> tokens;
  std::string_view text;
  std::span<const sampling::Logprobs> logprobs;
  std::size_t top = 0;
};

// A completion's logprobs of the prompt that is echoed: its first token has none.
[[nodiscard]] Json echoed_logprobs(const TokenNaming& naming, const PromptLogprobs& prompt);
// Appends another part of a completion's logprobs.
void append_logprobs(Json& logprobs, const Json& more);

// vLLM's prompt_logprobs: [null, {"TOKEN ID": {"logprob", "rank", "decoded_token"}, ...}, ...], the prompt's
// own token first.
[[nodiscard]] Json prompt_logprobs_json(const TokenNaming& naming, const PromptLogprobs& prompt);

[[nodiscard]] std::size_t characters(std::string_view utf8);

}  // namespace folio::api
