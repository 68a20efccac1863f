// CalibratedCost: step rates fitted to the steps that were measured.
//
// Least squares of relative errors over the past steps, and a weak pull towards the rates given at the start,
// which decides where the measurements do not (a machine that has only decoded knows nothing of long
// prompts). Rates are never negative.
//
// Steps fade by kFade with every later one *of their kind*: about as many rows, looking about as far back. So
// a thousand steps that only decode do not wash out what a prompt was seen to cost, and each kind weighs the
// same in the fit, however often it comes.
//
// Small steps say little of large ones: while few rows wait for the weights from memory, one more is free.
// Therefore a shape is within reach only if it is at most kReach times as large, by the rates of the start,
// as the largest that was measured. Steps grow towards what fits into a budget, they do not jump there.
//
// A function of the start and the observations alone: the same measurements give the same rates.
//
// Thread rule: the scheduler's thread. Cost: observe() adds up the kinds that were seen (a few, of 60 at
// most) and solves at most seven systems of up to three unknowns.
#pragma once

#include <array>
#include <vector>

#include "scheduler/step_cost.h"

namespace folio::scheduler {

class CalibratedCost final : public StepCost {
 public:
  static constexpr double kFade = 0.95;
  static constexpr double kPull = 0.02;  // in units of one measured step
  static constexpr double kReach = 2;

  // `window`: see StepCost. Requires: every rate of `start` is positive.
  explicit CalibratedCost(const StepRates& start, std::size_t window = kNoWindow);

  StepRates rates() const override { return rates_; }
  // Ignores what cannot be a measurement: no rows, or no time.
  void observe(const StepShape& shape, double measured_ms) override;
  bool is_within_reach(const StepShape& shape) const override;

 private:
  static constexpr std::size_t kRates = 3;
  using Vector = std::array<double, kRates>;

  struct Kind {  // steps alike
    int rows, depth;
    std::array<Vector, kRates> moments{};  // sums of x x^T
    Vector projections{};                  // sums of x y
    double measured_ms = 0, guessed_ms = 0;
  };

  Kind& kind_of(const StepShape& shape);
  double size(const StepShape& shape) const;  // ms by the start's rates
  void fit();

  Vector start_;  // the unit of each rate: the fit works on multiples of it
  std::vector<Kind> kinds_;
  double largest_ = 0;  // size of what was measured
  StepRates rates_;
};

}  // namespace folio::scheduler
