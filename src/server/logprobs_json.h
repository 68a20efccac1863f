// Log-probabilities of an answer's tokens as the two endpoints say them.
#pragma once

#include <cstddef>
#include <span>

#include "engine/engine.h"
#include "server/json.h"
#include "server/request.h"

namespace folio::server {

// A chat's: {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal"}. A completion's:
// {"tokens", "token_logprobs", "top_logprobs", "text_offset"}; offsets are characters and begin at `offset`,
// which is moved on.
[[nodiscard]] Json logprobs_json(Endpoint endpoint, const text::Tokenizer& tokenizer,
                                 std::span<const sampling::Logprobs> logprobs, std::size_t& offset);

}  // namespace folio::server
