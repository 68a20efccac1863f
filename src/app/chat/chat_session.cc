#include "app/chat/chat_session.h"

#include <limits>

namespace folio::app {

ChatSession::ChatSession(engine::Engine& engine, ChatOptions options)
    : engine_(engine), options_(std::move(options)), conversation_(options_.system) {
  options_.stop = stop_texts(engine, std::move(options_.stop));
}

Result<Answer> ChatSession::ask(std::string text, const Listener& listener) {
  const auto messages = conversation_.messages();
  const bool unanswered =
      !messages.empty() && messages.back().role == "user";  // a loaded conversation may end so
  std::optional<std::string> replaced;
  if (unanswered) {
    replaced = messages.back().content;
    conversation_.drop_last();
  }
  conversation_.add_user(std::move(text));
  auto answer = answer_last(listener);
  if (!answer || answer->text.empty()) {
    conversation_.drop_last();
    if (replaced) conversation_.add_user(std::move(*replaced));
    return answer;
  }
  conversation_.add_assistant(answer->text);
  return answer;
}

Result<Answer> ChatSession::regenerate(const Listener& listener) {
  const auto messages = conversation_.messages();
  if (messages.empty() || messages.back().role == "system")
    return fail(ErrorKind::kInvalid, "there is no question yet to answer again");
  std::optional<std::string> old;
  if (conversation_.has_answer()) {
    old = messages.back().content;
    conversation_.drop_last();
  }
  auto answer = answer_last(listener);
  if (answer && !answer->text.empty())
    conversation_.add_assistant(answer->text);
  else if (old)
    conversation_.add_assistant(std::move(*old));
  return answer;
}

Result<Answer> ChatSession::answer_last(const Listener& listener) {
  FOLIO_TRY(encoded,
            engine_.chat_template().encode(
                engine_.tokenizer(), {.messages_json = text::to_messages_json(conversation_.messages())}));
  FOLIO_TRY_STATUS(check_fits(engine_, encoded.tokens.size(), Situation::kChat));
  engine::GenerationRequest request{
      .prompt = std::move(encoded.tokens), .sampling = options_.sampling, .stop = options_.stop};
  request.sampling.seed += answers_drawn_++;
  request.max_tokens = options_.max_tokens.value_or(std::numeric_limits<std::size_t>::max());
  FOLIO_TRY(answer, generate(engine_, std::move(request), listener));
  ++totals_.answers;
  totals_.prompt_tokens += answer.stats.prompt_tokens;
  totals_.cached_tokens += answer.stats.cached_tokens;
  totals_.generated_tokens += answer.stats.generated_tokens;
  return answer;
}

}  // namespace folio::app
