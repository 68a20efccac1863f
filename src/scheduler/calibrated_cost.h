// CalibratedCost: step rates fitted to the steps that were measured.
//
// Least squares of relative errors over the past steps, each step's weight fading by kFade with every later
// one, and a weak pull towards the rates given at the start, which decides where the measurements do not (a
// machine that has only decoded knows nothing of long prompts). Rates are never negative. A function of the
// start and the observations alone: the same measurements give the same rates.
//
// Thread rule: the scheduler's thread. Cost: observe() solves at most seven systems of up to three unknowns.
#pragma once

#include <array>

#include "scheduler/step_cost.h"

namespace folio::scheduler {

class CalibratedCost final : public StepCost {
 public:
  static constexpr double kFade = 0.98;
  static constexpr double kPull = 0.05;  // of the start, in units of one measured step

  // Requires: every rate of `start` is positive.
  explicit CalibratedCost(const StepRates& start);

  StepRates rates() const override { return rates_; }
  // Ignores what cannot be a measurement: no rows, or no time.
  void observe(const StepShape& shape, double measured_ms) override;

 private:
  static constexpr std::size_t kRates = 3;
  using Vector = std::array<double, kRates>;

  void fit();

  Vector start_;                        // the unit of each rate: the fit works on multiples of it
  std::array<Vector, kRates> moments_;  // sums of x x^T, without the pull
  Vector projections_{};                // sums of x y
  StepRates rates_;
};

}  // namespace folio::scheduler
