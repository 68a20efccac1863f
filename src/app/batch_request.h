// One line of a batch file in OpenAI's format -> a request for the engine:
//
//   {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [...], ...}}
//   {"custom_id": "b", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once", ...}}
//
// The body's fields are those of the OpenAI API and vLLM's additions (kKnown in batch_request.cc lists them);
// a field that folio does not know is an error, for it would change the answer silently. `model`, `user`,
// `metadata`, `store` and `stream` say nothing that matters here.
//
// Thread rule: any; the engine's tokenizer and template are immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace folio::app {

inline constexpr std::size_t kMaxBatchLineBytes = 16u << 20;

enum class BatchEndpoint { kChat, kCompletion };

struct BatchRequest {
  std::string custom_id;
  BatchEndpoint endpoint = BatchEndpoint::kChat;
  std::string model;  // as the line calls it; comes back in the answer
  engine::GenerationRequest request;
};

// A line that cannot be answered. `custom_id` is empty where the line does not tell.
struct BatchRefusal {
  std::string custom_id;
  std::string code;     // "invalid_json", "invalid_request", ...
  std::string message;  // one sentence
};

// `defaults`: what holds for sampling where the body is silent.
[[nodiscard]] std::expected<BatchRequest, BatchRefusal> read_batch_line(
    std::string_view line, const engine::Engine& engine, const sampling::SamplingParams& defaults);

}  // namespace folio::app
