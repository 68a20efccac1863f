#include "app/chat/generate.h"

namespace folio::app {

Result<Answer> generate(engine::Engine& engine, engine::GenerationRequest request, const Listener& listener) {
  FOLIO_TRY(job, engine.submit(std::move(request)));
  Answer answer;
  bool stopping = false;
  for (;;) {
    engine.step(listener.abandon_step);
    const engine::Delta delta = job.stream->take();
    if (!delta.text.empty() && !stopping) {
      answer.text += delta.text;
      listener.on_text(delta.text);
    }
    if (delta.finish) {
      answer.finish = *delta.finish;
      break;
    }
    if (!stopping && listener.wants_stop()) {
      job.cancel();
      stopping = true;
    }
  }
  answer.stats = job.stream->stats();
  if (answer.finish == engine::FinishReason::kError && answer.stats.error)
    return std::unexpected(*answer.stats.error);
  return answer;
}

Status check_fits(const engine::Engine& engine, std::size_t tokens, Situation situation) {
  const std::size_t context = engine.context_tokens();
  if (tokens < context) return {};
  const std::size_t most = engine.config().max_context;
  const std::string larger = context < most
                                 ? fmt::format("start folio with --ctx-size {} (the model takes up to {})",
                                               std::min(most, tokens * 2), most)
                                 : fmt::format("{} is the most that the model takes", most);
  if (situation == Situation::kOneShot)
    return fail(
        ErrorKind::kTooLarge,
        "the prompt has {} tokens and leaves no room for an answer in the context of {}; shorten it; {}",
        tokens, context, larger);
  return fail(ErrorKind::kTooLarge,
              "the conversation would have {} tokens and leave no room for an answer in the context of {}; "
              "/clear starts a new "
              "one; {}",
              tokens, context, larger);
}

std::vector<std::string> stop_texts(const engine::Engine& engine, std::vector<std::string> asked) {
  if (const auto text = engine.chat_template().stop_text(); !text.empty()) asked.emplace_back(text);
  return asked;
}

}  // namespace folio::app
