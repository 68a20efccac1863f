// What a model's own files say of how its tokens are to be drawn: generation_config.json of a Hugging Face
// directory, general.sampling.* of a GGUF file. Numbers as they stand there; their ranges are for whoever
// uses them to check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "weights/open.h"

namespace folio::weights {

struct GenerationConfig {
  std::optional<float> temperature, top_p, min_p, repetition_penalty;
  std::optional<std::int32_t> top_k;
  std::optional<std::size_t> max_new_tokens;  // of an answer; from 1 on
  std::string source;                         // where it stands; empty: nothing is said

  // Whether it says how tokens are drawn, rather than how long an answer is.
  bool says_sampling() const { return temperature || top_p || min_p || top_k || repetition_penalty; }
};

// Errors: a value of another kind than a number, or beyond +-1e9, named with its file; JSON that is none.
[[nodiscard]] Result<GenerationConfig> generation_config(const AnyModel& model);
// That of a folder, which need not hold a model; nothing where it has none.
[[nodiscard]] Result<GenerationConfig> generation_config_in(const std::string& folder);

}  // namespace folio::weights
