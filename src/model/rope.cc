#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace folio::model {
namespace {

// Dynamic NTK scaling: the base for sequences of `tokens` tokens.
double dynamic_base(const RopeConfig& rope, double tokens) {
  const double original = rope.original_context;
  if (tokens <= original) return rope.base;
  const double dims = rope.dims;
  return rope.base * std::pow(rope.factor * tokens / original - (rope.factor - 1), dims / (dims - 2));
}

// Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, those between blended.
double llama3_frequency(const RopeConfig& rope, double frequency) {
  const double turns =
      rope.original_context * frequency / (2 * std::numbers::pi);  // within the original context
  if (turns < rope.low_freq_factor) return frequency / rope.factor;
  if (turns > rope.high_freq_factor) return frequency;
  const double blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - blend) * frequency / rope.factor + blend * frequency;
}

// YaRN (Peng et al., 2023): the pair whose wavelength turns `beta` times within the original context.
double yarn_pair(const RopeConfig& rope, double beta) {
  return rope.dims * std::log(rope.original_context / (beta * 2 * std::numbers::pi)) /
         (2 * std::log(rope.base));
}

double yarn_frequency(const RopeConfig& rope, double frequency, double pair) {
  double low = yarn_pair(rope, rope.beta_fast);
  double high = yarn_pair(rope, rope.beta_slow);
  if (rope.yarn_truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, rope.dims - 1.0);
  const double stretched = std::clamp((pair - low) / std::max(0.001, high - low), 0.0, 1.0);
  return frequency / rope.factor * stretched + frequency * (1 - stretched);
}

}  // namespace

Rope::Rope(const RopeConfig& config, std::uint32_t max_tokens, std::span<const float> divisors)
    : layout_(config.layout), frequencies_(config.dims / 2) {
  const double base =
      config.scaling == RopeScaling::kDynamic ? dynamic_base(config, max_tokens) : config.base;
  for (std::size_t i = 0; i < frequencies_.size(); ++i) {
    double frequency = std::pow(base, -2.0 * static_cast<double>(i) / config.dims);
    if (!divisors.empty()) frequency /= static_cast<double>(divisors[i]);
    if (config.scaling == RopeScaling::kLinear) frequency /= config.factor;
    if (config.scaling == RopeScaling::kLlama3) frequency = llama3_frequency(config, frequency);
    if (config.scaling == RopeScaling::kYarn)
      frequency = yarn_frequency(config, frequency, static_cast<double>(i));
    frequencies_[i] = static_cast<float>(frequency);
  }
  if (config.scaling == RopeScaling::kYarn)
    factor_ = config.attention_factor != 0 ? config.attention_factor
                                           : (config.factor > 1 ? 0.1 * std::log(config.factor) + 1 : 1);
}

Hash128 Rope::probe() {
  const Rope rope({.dims = 128}, 1, {});
  constexpr std::uint32_t kPositions[] = {1, 77, 4095, 131071};
  std::vector<float> values(2 * rope.pairs() * std::size(kPositions));
  float* out = values.data();
  for (const std::uint32_t position : kPositions) {
    rope.angles(position, out, out + rope.pairs());
    out += 2 * rope.pairs();
  }
  return hash128({std::as_bytes(std::span(values))});
}

void Rope::angles(std::uint32_t position, float* cosine, float* sine) const {
  for (std::size_t i = 0; i < frequencies_.size(); ++i) {
    // The angle is rounded to f32 as the models' training code does; its functions are then exact to f32.
    const double angle = static_cast<float>(position) * frequencies_[i];
    cosine[i] = static_cast<float>(std::cos(angle) * factor_);
    sine[i] = static_cast<float>(std::sin(angle) * factor_);
  }
}

}  // namespace folio::model
