// One answer from the engine, piece by piece, on the calling thread.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace folio::app {

struct Answer {
  std::string text;
  engine::FinishReason finish = engine::FinishReason::kStop;
  engine::GenerationStats stats;
};

// The other side of an answer. Called on the thread of generate().
struct Listener {
  std::function<void(std::string_view text)> on_text;  // each piece as it is decoded: whole UTF-8 characters
  std::function<bool()> wants_stop;  // asked after every step of the engine; true ends the answer
  // While true a step is not carried through; to be cleared by wants_stop(), which then is true. Null: never.
  const std::atomic<bool>* abandon_step = nullptr;
};

// Steps the engine until the answer is there. Requires: no other thread steps it. Errors: those of
// Engine::submit and of the generation itself. An answer that was stopped is no error: its finish is
// kCancelled.
[[nodiscard]] Result<Answer> generate(engine::Engine& engine, engine::GenerationRequest request,
                                      const Listener& listener);

enum class Situation { kOneShot, kChat };

// Errors: kTooLarge when `tokens` leave no room for an answer in the context; says how long both are and what
// to do.
[[nodiscard]] Status check_fits(const engine::Engine& engine, std::size_t tokens, Situation situation);

// The texts that end an answer besides those asked for: of a model without a chat template, the next speaker.
[[nodiscard]] std::vector<std::string> stop_texts(const engine::Engine& engine,
                                                  std::vector<std::string> asked);

}  // namespace folio::app
