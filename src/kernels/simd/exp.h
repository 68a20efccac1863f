// e^x on sixteen lanes, in terms of the vocabulary of avx2.h or avx512.h (include one of them first).
#pragma once

#include "kernels/exp_constants.h"

namespace folio::kernels {
namespace {

inline F32x16 exp_lanes(F32x16 x) {
  const F32x16 clamped = min(max(x, set1(kExpLowest)), set1(kExpHighest));
  const F32x16 n = round_nearest(mul(clamped, set1(kLog2E)));
  const F32x16 r = fma(n, set1(-kLn2Low), fma(n, set1(-kLn2High), clamped));
  F32x16 p = set1(kExpPolynomial[0]);
  for (int i = 1; i < kExpTerms; ++i) p = fma(p, r, set1(kExpPolynomial[i]));
  p = add(fma(p, mul(r, r), r), set1(1.0f));
  return zero_below(x, kExpLowest, mul(p, power_of_two(n)));
}

}  // namespace
}  // namespace folio::kernels
