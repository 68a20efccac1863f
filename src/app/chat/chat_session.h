// ChatSession: a conversation with an engine. Needs no terminal.
//
// Every turn renders the whole branch with the model's chat template; the engine finds the blocks of all
// earlier turns in its prefix cache, also those of other branches, so only what is new is computed. Thread
// rule: one thread, which also steps the engine. The engine outlives the session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/chat/conversation.h"
#include "app/chat/generate.h"

namespace folio::app {

struct ChatOptions {
  std::optional<std::string> system;
  sampling::SamplingParams sampling;
  std::optional<std::size_t> max_tokens;  // unset: what the context leaves
  std::vector<std::string> stop;
};

// Of all answers of a session.
struct SessionTotals {
  std::size_t answers = 0, prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
};

class ChatSession {
 public:
  ChatSession(engine::Engine& engine, ChatOptions options);

  // Asks and keeps question and answer, also an answer that was stopped half-way; when there is no answer at
  // all, or an error, the conversation is as before. Requires: `text` is UTF-8. Errors: the conversation does
  // not fit the context, the template refuses it, those of generate().
  [[nodiscard]] Result<Answer> ask(std::string text, const Listener& listener);

  // The last question again, with another seed. Errors: also when there is none. On an error the old answer
  // stays.
  [[nodiscard]] Result<Answer> regenerate(const Listener& listener);

  Conversation& conversation() { return conversation_; }
  const Conversation& conversation() const { return conversation_; }
  const SessionTotals& totals() const { return totals_; }

 private:
  Result<Answer> answer_last(const Listener& listener);

  engine::Engine& engine_;
  ChatOptions options_;
  Conversation conversation_;
  SessionTotals totals_;
  std::uint64_t answers_drawn_ = 0;  // makes every answer's random numbers its own
};

}  // namespace folio::app
