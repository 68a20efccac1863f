// One line of a batch file in OpenAI's format -> a request that is ready for the engine:
//
//   {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [...], ...}}
//   {"custom_id": "b", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once", ...}}
//   {"custom_id": "c", "method": "POST", "url": "/v1/embeddings", "body": {"input": "Once", ...}}
//
// The body is what folio serve takes, read by the same code. Two fields mean nothing here: `model`, which
// comes back in the answer, and `stream`, for answers are written whole.
//
// Thread rule: any; the engine's tokenizer and template are immutable.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "api/prepare.h"

namespace folio::app {

inline constexpr std::size_t kMaxBatchLineBytes = 16u << 20;

struct BatchRequest {
  std::string custom_id;
  api::PreparedRequest body;
};

// A line that cannot be answered. `custom_id` is empty where the line does not tell.
struct BatchRefusal {
  std::string custom_id;
  std::string code;     // "invalid_json", "invalid_request", ...
  std::string message;  // one sentence
};

[[nodiscard]] std::expected<BatchRequest, BatchRefusal> read_batch_line(std::string_view line,
                                                                        const api::ServedModel& served);

}  // namespace folio::app
