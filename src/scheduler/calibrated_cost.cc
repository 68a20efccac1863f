#include "scheduler/calibrated_cost.h"

#include <algorithm>
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

CalibratedCost::CalibratedCost(const StepRates& start, std::size_t window)
    : StepCost(window), start_{start.fixed_ms, start.linear_ms, start.attention_ms}, rates_(start) {
  constexpr std::size_t kMostKinds = 96;  // rows below 2^16, depth below 2^24
  kinds_.reserve(kMostKinds);
  for (double rate : start_) FOLIO_CHECK(rate > 0, "a calibration starts from positive rates");
}

void CalibratedCost::observe(const StepShape& shape, double measured_ms) {
  if (shape.rows == 0 || !(measured_ms > 0) || !std::isfinite(measured_ms)) return;
  largest_ = std::max(largest_, size(shape));
  // In multiples of the start, and divided by the measurement: what is squared is a relative error.
  const Vector x{start_[0] / measured_ms, start_[1] * static_cast<double>(shape.rows) / measured_ms,
                 start_[2] * shape.attended / measured_ms};
  Kind& kind = kind_of(shape);
  for (std::size_t i = 0; i < kRates; ++i) {
    for (std::size_t j = 0; j < kRates; ++j) kind.moments[i][j] = kFade * kind.moments[i][j] + x[i] * x[j];
    kind.projections[i] = kFade * kind.projections[i] + x[i];
  }
  kind.measured_ms = kFade * kind.measured_ms + measured_ms;
  kind.guessed_ms = kFade * kind.guessed_ms + size(shape);
  fit();
}

bool CalibratedCost::is_within_reach(const StepShape& shape) const {
  return size(shape) <= kReach * largest_;
}

double CalibratedCost::size(const StepShape& shape) const {
  return start_[0] + static_cast<double>(shape.rows) * start_[1] + shape.attended * start_[2];
}

// By powers of two of the rows, of 16 of what a row looks at.
CalibratedCost::Kind& CalibratedCost::kind_of(const StepShape& shape) {
  const auto rows = static_cast<double>(shape.rows);
  const int by_rows = std::ilogb(rows), by_depth = std::ilogb(std::max(1.0, shape.attended / rows)) / 4;
  for (Kind& kind : kinds_)
    if (kind.rows == by_rows && kind.depth == by_depth) return kind;
  return kinds_.emplace_back(Kind{.rows = by_rows, .depth = by_depth});
}

void CalibratedCost::fit() {
  Matrix a{};
  Vector b{};
  double measured_ms = 0, guessed_ms = 0;
  for (const Kind& kind : kinds_) {
    measured_ms += kind.measured_ms;
    guessed_ms += kind.guessed_ms;
    for (std::size_t i = 0; i < kRates; ++i) {
      for (std::size_t j = 0; j < kRates; ++j) a[i][j] += kind.moments[i][j];
      b[i] += kind.projections[i];
    }
  }
  const double slower = measured_ms / guessed_ms, unit = std::max(1.0, slower);
  for (std::size_t i = 0; i < kRates; ++i) {
    a[i][i] += kPull / (unit * unit);
    b[i] += kPull * slower / (unit * unit);
  }
  Vector best{};
  double least = std::numeric_limits<double>::infinity();
  for (unsigned subset = 1; subset < 1U << kRates; ++subset) {
    const Vector x = solve_subset(a, b, subset);
    if (x[1] < 0 || x[2] < 0) continue;
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
