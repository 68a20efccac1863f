// Rotary position embedding: a function of the position alone, fixed when the engine starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/hash.h"
#include "model/model_config.h"

namespace folio::model {

class Rope {
 public:
  // `max_tokens` is the longest sequence this engine will hold: dynamic scaling computes its base from it
  // once, so that a cached key never depends on how long its sequence later became. `divisors` ([dims / 2] or
  // empty) divides each frequency: Llama 3.1's scaling as GGUF files carry it.
  Rope(const RopeConfig& config, std::uint32_t max_tokens, std::span<const float> divisors);

  std::size_t pairs() const { return frequencies_.size(); }
  RopeLayout layout() const { return layout_; }

  // A name for this machine's pow, cos and sin: the bits of some hundred frequencies and angles as they are
  // computed here. The C library chooses their code by processor, so two machines may differ in the last
  // place.
  static Hash128 probe();

  // cosine and sine [pairs] of the angles at `position`, times the attention factor. Cost: about 30 ns a
  // pair.
  void angles(std::uint32_t position, float* cosine, float* sine) const;

 private:
  RopeLayout layout_;
  std::vector<float> frequencies_;  // radians per position
  double factor_ = 1;
};

}  // namespace folio::model
