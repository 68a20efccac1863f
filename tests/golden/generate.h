// Running a model for a golden check: logits of every position, then greedy tokens.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "engine/engine.h"

namespace folio::golden {

struct Trace {
  std::vector<std::vector<float>>
      logits;               // [position], of the prompt; afterwards, of each generated token but the last
  std::vector<int> tokens;  // generated greedily
};

// Computes `prompt` and then generates `max_tokens` greedily, end tokens ignored. Keeps logits from
// `logits_from` on.
[[nodiscard]] Result<Trace> run(engine::Engine& engine, std::span<const int> prompt, std::size_t max_tokens,
                                std::size_t logits_from = 0);

// log(sum(exp(logits))) in double.
double log_sum_exp(std::span<const float> logits);
// Kullback-Leibler divergence of q from p, both given as logits, in nats.
double divergence(std::span<const float> p, std::span<const float> q);

}  // namespace folio::golden
