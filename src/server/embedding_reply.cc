#include "server/embedding_reply.h"

#include <algorithm>
#include <utility>

#include "api/embedding_text.h"
#include "server/error_response.h"

namespace folio::server {

EmbeddingReply::State EmbeddingReply::pump(Metrics& metrics) {
  std::erase_if(running_, [&](Running& running) { return take(running, metrics); });
  feed();
  if (!running_.empty()) return State::kRunning;
  if (parts_.respond) finish();
  return State::kEnded;
}

void EmbeddingReply::abandon() {
  parts_.respond = nullptr;
  next_ = parts_.prompts.size();
  for (const Running& running : running_) parts_.generator->cancel(running.generation);
}

bool EmbeddingReply::take(Running& running, Metrics& metrics) {
  engine::TokenStream& stream = *running.generation.sources.front().stream;
  const engine::Delta delta = stream.take();
  if (!delta.finish) return false;
  const engine::GenerationStats stats = stream.stats();
  const bool done = *delta.finish == engine::FinishReason::kStop;
  metrics.ended({.finish_reason = done ? "stop" : "abort",
                 .prompt_tokens = stats.prompt_tokens,
                 .cached_tokens = stats.cached_tokens,
                 .end_to_end_s =
                     std::chrono::duration<double>(std::chrono::steady_clock::now() - parts_.came).count()});
  cached_tokens_ += stats.cached_tokens;
  if (!done) {
    fail({.status = 500, .message = "The computation was ended before its time", .param = {}, .code = {}});
    return true;
  }
  auto entry = api::embedding_entry(running.index,
                                    parts_.request.normalize == api::Normalize::kYes
                                        ? api::of_unit_length(delta.embedding)
                                        : delta.embedding,
                                    parts_.request.vector_format);
  if (entry) {
    entries_[running.index] = std::move(*entry);
  } else {
    fail({.status = 500,
          .message = fmt::format("The model's vector for input {} is not finite", running.index),
          .param = {},
          .code = {}});
  }
  return true;
}

// A full engine is waited for, as long as own inputs are among those that it will end.
void EmbeddingReply::feed() {
  while (!error_ && next_ < parts_.prompts.size() && running_.size() < kMostAtOnce) {
    auto generation = parts_.generator->submit(parts_.request, {parts_.prompts[next_].tokens}, 0);
    if (generation) {
      running_.push_back({.index = next_++, .generation = std::move(*generation)});
      continue;
    }
    const bool full = generation.error().kind == ErrorKind::kTooLarge;
    if (full && !running_.empty()) return;
    fail({.status = full ? 429 : 400,
          .message = generation.error().message,
          .param = {},
          .code = full ? "queue_full" : "",
          .retry_after_s = full ? api::kRetryAfterS : 0});
  }
}

// What else runs for this request is not wanted any more.
void EmbeddingReply::fail(api::ApiError error) {
  if (error_) return;
  error_ = std::move(error);
  for (const Running& running : running_) parts_.generator->cancel(running.generation);
}

void EmbeddingReply::finish() {
  const auto respond = std::exchange(parts_.respond, nullptr);
  if (error_) return respond(error_response(*error_));
  api::Usage usage{.cached_tokens = cached_tokens_};
  for (const api::PreparedPrompt& prompt : parts_.prompts) usage.prompt_tokens += prompt.tokens.size();
  respond({.body = api::embedding_response(parts_.head, entries_, usage), .headers = {}});
}

}  // namespace folio::server
