// SamplingParams: how a token is chosen from logits. The meaning, and the order in which the steps apply, are
// those of vLLM, so a request means the same here as there.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace folio::sampling {

struct SamplingParams {
  float temperature = 1.0F;  // [0, 1000]; 0: always the most likely token
  std::int32_t top_k = 0;    // keep the k most likely; 0 or -1: all
  float top_p = 1.0F;        // (0, 1]; keep the fewest most likely whose probabilities reach p
  float min_p = 0.0F;        // [0, 1]; keep tokens at least this share of the most likely one's probability
  float repetition_penalty = 1.0F;  // [0.001, 1000]; > 1 against tokens of prompt and output, < 1 for them
  float frequency_penalty = 0.0F;   // [-2, 2]; taken off per occurrence in the output
  float presence_penalty = 0.0F;    // [-2, 2]; taken off once if in the output
  std::uint64_t seed = 0;

  // Errors: kInvalid naming the first field outside its range (NaN is outside every range), the range and the
  // value.
  [[nodiscard]] Status validate() const;

  bool has_penalties() const {
    return repetition_penalty != 1.0F || frequency_penalty != 0.0F || presence_penalty != 0.0F;
  }

  friend bool operator==(const SamplingParams&, const SamplingParams&) = default;
};

}  // namespace folio::sampling
