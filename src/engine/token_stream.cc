#include <utility>

#include "engine/request.h"

namespace folio::engine {

Delta TokenStream::take() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(pending_, {});
}

Delta TokenStream::wait() {
  std::unique_lock lock(mutex_);
  news_.wait(lock, [this] { return finished_ || !pending_.text.empty() || !pending_.tokens.empty(); });
  return std::exchange(pending_, {});
}

bool TokenStream::finished() const {
  const std::scoped_lock lock(mutex_);
  return finished_;
}

GenerationStats TokenStream::stats() const {
  const std::scoped_lock lock(mutex_);
  return stats_;
}

void TokenStream::put(std::string_view text, std::optional<TokenId> token,
                      const sampling::Logprobs* logprobs) {
  {
    const std::scoped_lock lock(mutex_);
    pending_.text += text;
    if (token) pending_.tokens.push_back(*token);
    if (logprobs != nullptr) pending_.logprobs.push_back(*logprobs);
  }
  news_.notify_one();
}

void TokenStream::put_prompt(const sampling::Logprobs& logprobs) {
  const std::scoped_lock lock(mutex_);
  pending_.prompt_logprobs.push_back(logprobs);
}

void TokenStream::put_embedding(std::vector<float> embedding) {
  const std::scoped_lock lock(mutex_);
  pending_.embedding = std::move(embedding);
}

void TokenStream::finish(FinishReason reason, const GenerationStats& stats) {
  {
    const std::scoped_lock lock(mutex_);
    pending_.finish = reason;
    finished_ = true;
    stats_ = stats;
  }
  news_.notify_one();
}

}  // namespace folio::engine
