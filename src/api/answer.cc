#include "api/answer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "api/logprobs_json.h"

namespace folio::api {
namespace {

TokenNaming naming_of(const AnswerTo& to) {
  return {.tokenizer = to.tokenizer, .names = to.request.token_names};
}

PromptLogprobs prompt_of(const AnswerTo& to, std::span<const sampling::Logprobs> logprobs,
                         std::optional<std::uint32_t> top) {
  return {.tokens = to.prompt.tokens, .text = to.prompt.text, .logprobs = logprobs, .top = top.value_or(0)};
}

template <typename Entry>
void append(std::vector<Entry>& all, std::vector<Entry>& more) {
  if (all.empty()) return all.swap(more);
  std::ranges::move(more, std::back_inserter(all));
}

}  // namespace

void Answer::take(engine::TokenStream& stream) {
  engine::Delta news = stream.take();
  text += news.text;
  append(tokens, news.tokens);
  append(logprobs, news.logprobs);
  append(prompt_logprobs, news.prompt_logprobs);
  append(embedding, news.embedding);
  if (!news.finish) return;
  finish = news.finish;
  stats = stream.stats();
}

std::string_view finish_name(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::kStop:
      return "stop";
    case engine::FinishReason::kLength:
    case engine::FinishReason::kDeadline:
      return "length";
    case engine::FinishReason::kCancelled:
      return "abort";
    case engine::FinishReason::kError:
      return "error";
  }
  return "error";
}

ChoiceText choice_head(const AnswerTo& to, std::size_t index,
                       std::span<const sampling::Logprobs> prompt_logprobs) {
  ChoiceText head{.index = index, .text = {}, .finish_reason = {}, .token_ids = {}, .prompt_token_ids = {}};
  if (to.request.return_token_ids) head.prompt_token_ids = to.prompt.tokens;
  if (!to.request.echo) return head;
  head.text = to.prompt.text;
  if (to.request.logprobs)
    head.logprobs = echoed_logprobs(naming_of(to), prompt_of(to, prompt_logprobs, to.request.logprobs));
  return head;
}

std::size_t head_characters(const AnswerTo& to) { return to.request.echo ? characters(to.prompt.text) : 0; }

ChoiceText next_piece(const AnswerTo& to, std::size_t index, Answer& news, std::size_t& offset) {
  ChoiceText piece{.index = index,
                   .text = std::exchange(news.text, {}),
                   .finish_reason = {},
                   .token_ids = {},
                   .prompt_token_ids = {}};
  if (news.finish) piece.finish_reason = finish_name(*news.finish);
  const std::vector<sampling::Logprobs> logprobs = std::exchange(news.logprobs, {});
  if (!logprobs.empty()) piece.logprobs = logprobs_json(to.request.endpoint, naming_of(to), logprobs, offset);
  std::vector<TokenId> tokens = std::exchange(news.tokens, {});
  if (to.request.return_token_ids) piece.token_ids = std::move(tokens);
  return piece;
}

ChoiceText whole_choice(const AnswerTo& to, std::size_t index, const Answer& answer, const Answer& first) {
  ChoiceText choice = choice_head(to, index, first.prompt_logprobs);
  choice.text += answer.text;
  choice.finish_reason = finish_name(answer.finish.value_or(engine::FinishReason::kError));
  if (to.request.logprobs) {
    std::size_t offset = head_characters(to);
    Json logprobs = logprobs_json(to.request.endpoint, naming_of(to), answer.logprobs, offset);
    if (choice.logprobs.is_null())
      choice.logprobs = std::move(logprobs);
    else
      append_logprobs(choice.logprobs, logprobs);
  }
  if (to.request.prompt_logprobs)
    choice.prompt_logprobs =
        prompt_logprobs_json(naming_of(to), prompt_of(to, first.prompt_logprobs, to.request.prompt_logprobs));
  if (to.request.return_token_ids) choice.token_ids = answer.tokens;
  return choice;
}

}  // namespace folio::api
