#include "scheduler/calibrated_cost.h"

#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace folio::scheduler {
namespace {

constexpr std::size_t kRates = 3;
using Vector = std::array<double, kRates>;
using Matrix = std::array<Vector, kRates>;

// Solves for the unknowns whose bit is set, the others being zero. The matrix is positive definite (the pull
// is on its diagonal), so elimination needs no pivoting.
Vector solve_subset(Matrix a, Vector b, unsigned subset) {
  for (std::size_t i = 0; i < kRates; ++i)
    if ((subset >> i & 1U) == 0) {
      for (std::size_t j = 0; j < kRates; ++j) a[i][j] = a[j][i] = 0;
      a[i][i] = 1;
      b[i] = 0;
    }
  for (std::size_t i = 0; i < kRates; ++i)
    for (std::size_t row = i + 1; row < kRates; ++row) {
      const double factor = a[row][i] / a[i][i];
      for (std::size_t j = i; j < kRates; ++j) a[row][j] -= factor * a[i][j];
      b[row] -= factor * b[i];
    }
  Vector x{};
  for (std::size_t i = kRates; i-- > 0;) {
    double rest = b[i];
    for (std::size_t j = i + 1; j < kRates; ++j) rest -= a[i][j] * x[j];
    x[i] = rest / a[i][i];
  }
  return x;
}

// x^T A x - 2 b^T x: smallest where the fit is best.
double misfit(const Matrix& a, const Vector& b, const Vector& x) {
  double sum = 0;
  for (std::size_t i = 0; i < kRates; ++i) {
    for (std::size_t j = 0; j < kRates; ++j) sum += x[i] * a[i][j] * x[j];
    sum -= 2 * b[i] * x[i];
  }
  return sum;
}

}  // namespace

CalibratedCost::CalibratedCost(const StepRates& start)
    : start_{start.fixed_ms, start.linear_ms, start.attention_ms}, moments_{}, rates_(start) {
  for (double rate : start_) FOLIO_CHECK(rate > 0, "a calibration starts from positive rates");
}

void CalibratedCost::observe(const StepShape& shape, double measured_ms) {
  if (shape.rows == 0 || !(measured_ms > 0) || !std::isfinite(measured_ms)) return;
  // In multiples of the start, and divided by the measurement: what is squared is a relative error.
  const Vector x{start_[0] / measured_ms, start_[1] * static_cast<double>(shape.rows) / measured_ms,
                 start_[2] * shape.attended / measured_ms};
  for (std::size_t i = 0; i < kRates; ++i) {
    for (std::size_t j = 0; j < kRates; ++j) moments_[i][j] = kFade * moments_[i][j] + x[i] * x[j];
    projections_[i] = kFade * projections_[i] + x[i];
  }
  fit();
}

void CalibratedCost::fit() {
  Matrix a = moments_;
  Vector b = projections_;
  for (std::size_t i = 0; i < kRates; ++i) {
    a[i][i] += kPull;
    b[i] += kPull;
  }
  Vector best{};
  double least = std::numeric_limits<double>::infinity();
  for (unsigned subset = 1; subset < 1U << kRates; ++subset) {
    const Vector x = solve_subset(a, b, subset);
    bool possible = true;
    for (double value : x) possible = possible && value >= 0;
    if (!possible) continue;
    const double error = misfit(a, b, x);
    if (error < least) {
      least = error;
      best = x;
    }
  }
  rates_ = {
      .fixed_ms = best[0] * start_[0], .linear_ms = best[1] * start_[1], .attention_ms = best[2] * start_[2]};
}

}  // namespace folio::scheduler
