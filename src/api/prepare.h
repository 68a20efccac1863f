// From a checked request to tokens: template, tokenizer, lengths. Pure; any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/request.h"
#include "engine/engine.h"

namespace folio::api {

enum class Priorities { kRefuse, kUse };  // the field `priority`

// What requests mean where they are silent.
struct GenerationDefaults {
  sampling::SamplingParams chat, text;        // of chats, and of completions
  std::optional<std::size_t> max_new_tokens;  // of a chat's answer; unset: what the context leaves
};

// What a request is prepared for.
struct ServedModel {
  const engine::Engine& engine;             // its immutable part
  const text::ChatTemplate& chat_template;  // the model's, or another for all requests
  const std::vector<std::string>& names;    // none: whatever a request says
  std::size_t longest_tokens;               // of prompt and answer together
  const GenerationDefaults& defaults;
  // What requests may ask for.
  Strictness strictness = {};
  Priorities priorities = Priorities::kRefuse;
  std::uint32_t max_logprobs = kDefaultMaxLogprobs;  // or kAllLogprobs
  engine::Pooling pooling = engine::Pooling::kLast;  // of embeddings
  Normalize normalize = Normalize::kYes;
  // Bytes of text that one token can stand for at most (longest_token()): a prompt of more than such tokens
  // could hold is refused unread. 0: every text is read.
  std::size_t longest_token_bytes = 0;
  // True: nobody waits for the answer any more, and what is left to do is not done (status kAbandoned).
  const std::atomic<bool>* abandoned = nullptr;

  // At most so many of the most likely tokens, in numbers.
  std::size_t most_logprobs() const { return std::min<std::size_t>(max_logprobs, engine.config().vocab); }
};

inline constexpr int kAbandoned = 499;  // of an ApiError that nobody reads

[[nodiscard]] std::size_t longest_token(const text::Tokenizer& tokenizer);

struct PreparedPrompt {
  std::vector<TokenId> tokens;
  std::string text;  // as rendered or sent; of token ids, what they say
};

// A body that is ready for the engine.
struct PreparedRequest {
  Request request;
  std::vector<PreparedPrompt> prompts;
};

// All of it: parse_request(), then everything below. Errors: theirs.
[[nodiscard]] Checked<PreparedRequest> prepare_request(const ServedModel& served, Endpoint endpoint,
                                                       const Json& body);
[[nodiscard]] Checked<PreparedRequest> prepare_body(const ServedModel& served, Endpoint endpoint,
                                                    std::string_view body);

// Errors: 404 naming the models served.
[[nodiscard]] Checked<void> check_model(const ServedModel& served, const std::string& name);
// The conversation as tokens. Errors: those of the template, as 400; a text that cannot fit.
[[nodiscard]] Checked<PreparedPrompt> encode_chat(const ServedModel& served, const Request& request);
[[nodiscard]] Checked<PreparedPrompt> encode_prompt(const ServedModel& served, const Request& request,
                                                    const Prompt& prompt);
// Checks what the sampling fields say of tokens, and turns bad_words into them. Errors: 400 naming the field,
// also where the fields together leave no token to choose.
[[nodiscard]] Checked<void> prepare_sampling(const ServedModel& served, Request& request);
// One for each answer. A max_tokens beyond the context is noted as lowered: the engine's answers end there.
// Errors: also 400 for a prompt that is too long, and by `served.strictness` for such a max_tokens, saying
// the lengths.
[[nodiscard]] Checked<std::vector<PreparedPrompt>> prepare(const ServedModel& served, Request& request);

}  // namespace folio::api
