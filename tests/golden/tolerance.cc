#include "golden/tolerance.h"

#include <algorithm>
#include <cmath>

namespace folio::golden {

double logit_tolerance(const model::ModelConfig& c, std::size_t positions, double logit_rms,
                       std::size_t count) {
  constexpr double kUnit = 0x1p-24;
  const double p = static_cast<double>(positions);
  const double width = static_cast<double>(c.heads) * c.head_dim;
  const double per_layer = 3.0 * c.hidden + width + 2.0 * c.hidden + c.ffn + c.head_dim + p + 2.0 * c.hidden;
  double squares = 0;
  for (std::uint32_t i = 1; i < c.rope.dims / 2; ++i)
    squares += std::pow(c.rope.base, -4.0 * i / c.rope.dims);
  const double angle = p * std::sqrt(squares / (c.rope.dims / 2.0));
  const double terms = c.layers * (per_layer + angle * angle) + 2.0 * c.hidden;
  const double spread = std::sqrt(2 * std::log(std::max<double>(2, static_cast<double>(count))));
  return kGain * std::sqrt(2.0) * kUnit * std::sqrt(terms) * logit_rms * spread;
}

}  // namespace folio::golden
