// SamplingParams: how a token is chosen from logits. The meaning, and the order in which the steps apply, are
// those of vLLM, so a request means the same here as there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/shared_list.h"
#include "sampling/token_set.h"

namespace folio::sampling {

inline constexpr std::size_t kMaxLogitBiases = 1024;
inline constexpr std::size_t kMaxBadWords = 1024;
inline constexpr std::size_t kMaxBadWordTokens = 64;

struct LogitBias {
  TokenId token;
  float bias;  // [-100, 100]; added to the logit
  friend bool operator==(const LogitBias&, const LogitBias&) = default;
};

struct SamplingParams {
  float temperature = 1.0F;  // [0, 1000]; 0: always the most likely token
  std::int32_t top_k = 0;    // keep the k most likely; 0 or -1: all
  float top_p = 1.0F;        // (0, 1]; keep the fewest most likely whose probabilities reach p
  float min_p = 0.0F;        // [0, 1]; keep tokens at least this share of the most likely one's probability
  float repetition_penalty = 1.0F;  // [0.001, 1000]; > 1 against tokens of prompt and output, < 1 for them
  float frequency_penalty = 0.0F;   // [-2, 2]; taken off per occurrence in the output
  float presence_penalty = 0.0F;    // [-2, 2]; taken off once if in the output
  std::uint64_t seed = 0;
  // What a client may send long lists of: copies of the parameters share them.
  SharedList<LogitBias> logit_bias;
  TokenSet allowed_token_ids;                  // nothing else is ever chosen; empty: no such limit
  SharedList<std::vector<TokenId>> bad_words;  // runs of tokens that the output never contains
  std::size_t min_tokens = 0;                  // before these no token that ends the answer is chosen
  TokenSet stop_token_ids;                     // end the answer, besides the model's own end tokens

  // Errors: kInvalid naming the first field outside its range (NaN is outside every range), the range and the
  // value.
  [[nodiscard]] Status validate() const;
  // The same for the tokens named. Errors: kInvalid naming the field and the token.
  [[nodiscard]] Status validate_tokens(std::size_t vocabulary_size) const;

  bool has_rules() const {
    return !logit_bias.empty() || !allowed_token_ids.empty() || !bad_words.empty() || min_tokens > 0;
  }
  bool has_penalties() const {
    return repetition_penalty != 1.0F || frequency_penalty != 0.0F || presence_penalty != 0.0F;
  }

  friend bool operator==(const SamplingParams&, const SamplingParams&) = default;
};

}  // namespace folio::sampling
