// e^x = 2^n * e^r with n = round(x / ln 2), r in [-ln2/2, ln2/2], e^r = 1 + r + r^2 * P(r).
// Our own, because results must be the same bits on every machine and in every vector width. Within 2 ulp of
// the true value; below kExpLowest (whose exponential is the least normal float) the result is exactly zero.
// ln 2 is split so that n * kLn2High is exact. Coefficients: Cephes mathematical library, expf.
#pragma once

namespace folio::kernels {

inline constexpr float kExpLowest = -87.3365402f;
inline constexpr float kExpHighest = 88.3762589f;
inline constexpr float kLog2E = 1.44269504f;
inline constexpr float kLn2High = 0.693359375f;
inline constexpr float kLn2Low = -2.12194440e-4f;
inline constexpr int kExpTerms = 6;
inline constexpr float kExpPolynomial[kExpTerms] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                                    4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};

}  // namespace folio::kernels
