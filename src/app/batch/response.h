// The lines of a batch's output, in OpenAI's format; one per line of input, "batch_req_N" for the N-th. A
// body is what folio serve answers, written by the same code, and "seed": with it the answer can be had
// again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "app/batch/request.h"

namespace folio::app {

// One answer of a request, as it came from its stream.
struct BatchChoice {
  std::size_t prompt;  // of the request's
  api::Answer answer;
};

struct BatchAnswer {
  std::size_t line;  // of the input, from 1
  const BatchRequest& request;
  std::span<const BatchChoice> choices;  // by prompt, finished
  const text::Tokenizer& tokenizer;
};

[[nodiscard]] api::Usage usage_of(const BatchAnswer& answer);

// Without a line end.
std::string format_batch_answer(const BatchAnswer& answer);
// `refusal` as an "error" of the line, no response.
std::string format_batch_refusal(std::size_t line, const BatchRefusal& refusal);

// Which line of input an output line answers, and its custom_id. nullopt: not a line that folio wrote.
struct BatchMark {
  std::size_t line;
  std::string custom_id;
};
std::optional<BatchMark> read_batch_mark(std::string_view output_line);

}  // namespace folio::app
