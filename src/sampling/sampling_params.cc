#include "sampling/sampling_params.h"

namespace folio::sampling {

Status SamplingParams::validate() const {
  // Written so that NaN, which compares false with everything, fails.
  if (!(temperature >= 0.0F && temperature <= 1000.0F))
    return fail(ErrorKind::kInvalid,
                "temperature is {}, but must be from 0 (always the most likely token) to 1000", temperature);
  if (top_k < -1)
    return fail(ErrorKind::kInvalid, "top_k is {}, but must be at least 1, or 0 or -1 for no limit", top_k);
  if (!(top_p > 0.0F && top_p <= 1.0F))
    return fail(ErrorKind::kInvalid, "top_p is {}, but must be above 0 and at most 1", top_p);
  if (!(min_p >= 0.0F && min_p <= 1.0F))
    return fail(ErrorKind::kInvalid, "min_p is {}, but must be from 0 to 1", min_p);
  if (!(repetition_penalty >= 0.001F && repetition_penalty <= 1000.0F))
    return fail(ErrorKind::kInvalid, "repetition_penalty is {}, but must be from 0.001 to 1000 (1: none)",
                repetition_penalty);
  if (!(frequency_penalty >= -2.0F && frequency_penalty <= 2.0F))
    return fail(ErrorKind::kInvalid, "frequency_penalty is {}, but must be from -2 to 2", frequency_penalty);
  if (!(presence_penalty >= -2.0F && presence_penalty <= 2.0F))
    return fail(ErrorKind::kInvalid, "presence_penalty is {}, but must be from -2 to 2", presence_penalty);
  if (logit_bias.size() > kMaxLogitBiases)
    return fail(ErrorKind::kTooLarge, "logit_bias has {} entries, but at most {} may be given",
                logit_bias.size(), kMaxLogitBiases);
  for (const LogitBias& entry : logit_bias)
    if (!(entry.bias >= -100.0F && entry.bias <= 100.0F))
      return fail(ErrorKind::kInvalid, "logit_bias of token {} is {}, but must be from -100 to 100",
                  raw(entry.token), entry.bias);
  if (bad_words.size() > kMaxBadWords)
    return fail(ErrorKind::kTooLarge, "bad_words has {} entries, but at most {} may be given",
                bad_words.size(), kMaxBadWords);
  for (const auto& word : bad_words)
    if (word.empty() || word.size() > kMaxBadWordTokens)
      return fail(ErrorKind::kInvalid, "an entry of bad_words has {} tokens, but must have 1 to {}",
                  word.size(), kMaxBadWordTokens);
  return {};
}

Status SamplingParams::validate_tokens(std::size_t vocabulary_size) const {
  const auto check = [&](TokenId token, const char* field) -> Status {
    if (raw(token) >= 0 && static_cast<std::size_t>(raw(token)) < vocabulary_size) return {};
    return fail(ErrorKind::kInvalid, "{} names token {}, outside the vocabulary of {}", field, raw(token),
                vocabulary_size);
  };
  for (const LogitBias& entry : logit_bias) FOLIO_TRY_STATUS(check(entry.token, "logit_bias"));
  for (TokenId token : allowed_token_ids) FOLIO_TRY_STATUS(check(token, "allowed_token_ids"));
  for (TokenId token : stop_token_ids) FOLIO_TRY_STATUS(check(token, "stop_token_ids"));
  for (const auto& word : bad_words)
    for (TokenId token : word) FOLIO_TRY_STATUS(check(token, "bad_words"));
  return {};
}

}  // namespace folio::sampling
