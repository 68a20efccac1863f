// Answer: what an engine's stream has given, put together, and the JSON made of it: for replies over HTTP and
// for the lines of a batch.
//
// Thread rule: one owner.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/prepare.h"
#include "api/response_text.h"
#include "engine/engine.h"

namespace folio::api {

struct Answer {
  std::string text;
  std::vector<TokenId> tokens;
  std::vector<sampling::Logprobs> logprobs;
  std::vector<sampling::Logprobs> prompt_logprobs;  // in the first answer to a prompt, for all of them
  std::vector<float> embedding;
  std::optional<engine::FinishReason> finish;
  engine::GenerationStats stats;  // once finished

  // News since the last look.
  void take(engine::TokenStream& stream);
};

// Which question it answers.
struct AnswerTo {
  const Request& request;
  const PreparedPrompt& prompt;
  const text::Tokenizer& tokenizer;
};

// "stop", "length", "abort" or "error".
[[nodiscard]] std::string_view finish_name(engine::FinishReason reason);

// What a choice has before its first token: with echo the prompt, with its log-probabilities if they are
// wanted; ids.
[[nodiscard]] ChoiceText choice_head(const AnswerTo& to, std::size_t index,
                                     std::span<const sampling::Logprobs> prompt_logprobs);
// Of a finished answer. `first`: the first answer to the same prompt, perhaps the same one.
[[nodiscard]] ChoiceText whole_choice(const AnswerTo& to, std::size_t index, const Answer& answer,
                                      const Answer& first);
// What a stream sends next: text, tokens and log-probabilities are moved out of `news`, and `offset`, where
// they begin in the choice's text, moves on.
[[nodiscard]] ChoiceText next_piece(const AnswerTo& to, std::size_t index, Answer& news, std::size_t& offset);
// How far the text before a choice's first token reaches, in characters.
[[nodiscard]] std::size_t head_characters(const AnswerTo& to);

}  // namespace folio::api
