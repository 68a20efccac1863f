// How far the logits of two correct float32 computations of the same model may lie apart.
//
// A sum of K products in float32 carries a rounding error of about u * sqrt(K) of its size (u = 2^-24;
// independent roundings add in quadrature; the worst case, u * K, never shows up in sums of this kind). The
// sums that a token's result goes through:
//   per layer   four projections of `hidden` or `heads * head_dim`, two of `hidden`, one of `ffn` terms;
//   scores over
//               head_dim, values over the positions seen; two norms over `hidden`
//   at the end  the norm and the output matrix over `hidden`
// In quadrature that is u * sqrt(sum of all K). RoPE's angle is a float32 product, so at position p it is off
// by u * p * frequency, which turns a share of q and k by as much: layers * (p * rms(frequency))^2 joins the
// sum of K; the first pair's frequency is exactly 1 and drops out. Two computations differ by sqrt(2) of
// one's error. The errors of N logits are about normal, so that the largest of them is sqrt(2 ln N) standard
// deviations. What one layer gets wrong the next ones carry on, and where attention is sharp it grows: an
// error d in a score is a relative error d in its weight, and scores are several times larger than 1. kGain
// bounds that growth.
#pragma once

#include <cstddef>

#include "model/model_config.h"

namespace folio::golden {

inline constexpr double kGain = 4;

// For sequences of up to `positions` tokens, logits of root mean square `logit_rms`, `count` of them
// compared.
double logit_tolerance(const model::ModelConfig& config, std::size_t positions, double logit_rms,
                       std::size_t count);

}  // namespace folio::golden
