// EmbeddingReply: the vectors of one request's inputs, on their way from the engine to the client.
//
// Thread rule: the I/O thread. Memory: the vectors as text; their number and the model's width bound it.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/prepare.h"
#include "api/response_text.h"
#include "server/generator.h"
#include "server/http.h"
#include "server/metrics.h"

namespace folio::server {

class EmbeddingReply {
 public:
  struct Parts {
    api::ResponseHead head;
    api::Request request;
    std::vector<api::PreparedPrompt> prompts;
    Generator* generator = nullptr;
    std::chrono::steady_clock::time_point came;
    std::function<void(HttpResponse)> respond;  // called once, unless abandoned
  };
  enum class State { kRunning, kEnded };

  explicit EmbeddingReply(Parts parts) : parts_(std::move(parts)), entries_(parts_.prompts.size()) {}

  // Takes what the engine has finished, and submits the next inputs: a long list waits here, so that it takes
  // no more places in the engine than kMostAtOnce.
  State pump(Metrics& metrics);
  // The client is gone: nothing more is submitted, and what runs is cancelled.
  void abandon();
  // Inputs in the engine's hands.
  std::size_t running() const { return running_.size(); }

 private:
  static constexpr std::size_t kMostAtOnce = 64;
  struct Running {
    std::size_t index;  // of its input
    Generation generation;
  };

  bool take(Running& running, Metrics& metrics);  // true: it has ended
  void feed();
  void fail(api::ApiError error);
  void finish();

  Parts parts_;
  std::vector<std::string> entries_;  // of "data", by input
  std::vector<Running> running_;
  std::size_t next_ = 0;  // input to be submitted
  std::size_t cached_tokens_ = 0;
  std::optional<api::ApiError> error_;
};

}  // namespace folio::server
