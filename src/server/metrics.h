// Metrics: what /metrics tells a Prometheus server, under vLLM's names where it means the same, under folio:
// else. The only user of the metrics library.
//
// Thread rule: the I/O thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "server/generator.h"

namespace folio::server {

struct MetricFacts {
  std::string model_name;
  std::size_t longest_tokens = 0;
  std::size_t block_tokens = 0, blocks = 0;
  std::string kv_type;
};

enum class Leading { kYes, kNo };  // of the answers to a prompt, the one with which it is counted

// One answer that has ended, as its client and the engine saw it.
struct EndedAnswer {
  std::string_view finish_reason;
  Leading choice = Leading::kYes;
  std::size_t n = 1;
  std::size_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0, max_tokens = 0;
  double end_to_end_s = 0, first_token_s = 0, prefill_s = 0, decode_s = 0;
};

class Metrics {
 public:
  explicit Metrics(const MetricFacts& facts);
  ~Metrics();

  void first_token(double seconds);                      // since the request came
  void next_tokens(std::size_t tokens, double seconds);  // since the last look
  void generated(std::size_t tokens);
  void ended(const EndedAnswer& answer);
  void answered(std::string_view path, int status);  // `path` is one of the served ones, or "other"

  struct ServerState {
    EngineState engine;
    std::size_t connections = 0;
  };
  [[nodiscard]] std::string text(const ServerState& state);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace folio::server
