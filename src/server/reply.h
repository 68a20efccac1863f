// Reply: one request's answers on their way from the engine to the client, whole or as a stream.
//
// Thread rule: the I/O thread. Memory: what the client has not taken yet waits in the exchange; the answers'
// own length bounds it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/answer.h"
#include "api/prepare.h"
#include "api/response_text.h"
#include "engine/engine.h"
#include "server/compress.h"
#include "server/generator.h"
#include "server/http.h"
#include "server/metrics.h"

namespace folio::server {

using Clock = std::chrono::steady_clock;

inline constexpr std::chrono::seconds kPingAfter{10};

class Reply {
 public:
  struct Parts {
    api::ResponseHead head;
    api::Request request;
    std::vector<api::PreparedPrompt> prompts;
    const text::Tokenizer* tokenizer = nullptr;
    Generation generation;
    std::size_t stream_interval = 1;
    std::vector<Header> headers;  // of the response
    Coding coding = Coding::kPlain;
    Clock::time_point came;
    ByteShare share;  // of what the request's body took
    std::shared_ptr<Exchange> exchange;
  };
  enum class State { kRunning, kEnded };

  // Begins the stream, if it is one.
  explicit Reply(Parts parts);

  // Passes on what the engine has put since the last call.
  State pump(Metrics& metrics);
  // A comment line, which every client skips, where a stream has been silent for kPingAfter: what stands
  // between ends connections in which nothing moves.
  void ping(Clock::time_point now);
  // The client is gone: what follows is counted, and sent to nobody.
  void abandon() { exchange_ = nullptr; }

  const Generation& generation() const { return parts_.generation; }

 private:
  struct Choice {
    // Of a stream, what was not sent yet; the prompt's log-probabilities stay.
    api::Answer answer;
    std::size_t text_offset = 0;  // of the next token's log-probability
    std::size_t generated = 0;
    bool begun = false;
    Clock::time_point last_token;
  };

  void take(std::size_t index, Metrics& metrics);
  void measure(Choice& choice, std::size_t tokens, Metrics& metrics) const;
  bool is_due(const Choice& choice) const;
  void stream(std::size_t index);
  void end_stream();
  void respond_whole();
  const api::PreparedPrompt& prompt_of(std::size_t index) const;
  std::size_t first_of(std::size_t index) const;
  api::AnswerTo question_of(std::size_t index) const;
  api::Usage usage() const;
  api::Usage usage_of(std::size_t index) const;
  const Error* failure() const;

  Parts parts_;
  std::shared_ptr<Exchange> exchange_;
  std::vector<Choice> choices_;
  Clock::time_point last_sent_;  // of a stream
};

}  // namespace folio::server
