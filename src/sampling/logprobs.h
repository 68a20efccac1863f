// Log-probabilities of a row of logits as the model gave them: before penalties, temperature and filters.
//
// Thread rule: pure functions. Cost: one pass with an exponential per entry, a second to find the top.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace folio::sampling {

struct TokenLogprob {
  TokenId token;
  float logprob;
};

// log(sum(e^logits)): subtract it from a logit to get the token's log-probability.
// Requires: no NaN, no +infinity, something finite.
double log_normaliser(std::span<const float> logits);

// The tokens that matter for one position, as the OpenAI and vLLM APIs report them.
struct Logprobs {
  TokenLogprob chosen;
  std::uint32_t chosen_rank = 1;  // 1: nothing ranks before it (larger logit, or equal and lower id)
  std::vector<TokenLogprob> top;  // most likely first
};

// Requires: as log_normaliser(), and `chosen` is within the row. `top_count` is cut to the row's length.
// `result` is overwritten; its storage is reused.
void logprobs(std::span<const float> logits, TokenId chosen, std::size_t top_count, Logprobs& result);

// The most likely tokens, in order; equally likely ones by id. `top_count` is cut as above, `result`
// overwritten. Errors: kInvalid when the row holds NaN or +infinity, or nothing but -infinity.
[[nodiscard]] Status top_logprobs(std::span<const float> logits, std::size_t top_count,
                                  std::vector<TokenLogprob>& result);

}  // namespace folio::sampling
