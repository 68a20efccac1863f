// What a step costs before it is run: the currency of the scheduler's time budget.
//
// A step's time is taken to be
//
//   fixed + rows * linear + attended * attention
//
// where a row is one token of one sequence, and a row at position p attends over p + 1 tokens, or over the
// model's attention window where that is less. The weights are read once however many
// rows there are (fixed), the linear layers work per row, attention per row and token looked at.
//
// Thread rule: the scheduler's thread. Cost: a few operations.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

namespace folio::scheduler {

inline constexpr std::size_t kNoWindow = std::numeric_limits<std::size_t>::max();

// What of a step its time depends on.
struct StepShape {
  std::size_t rows = 0;
  double attended = 0;  // tokens looked at, summed over the rows

  // The rows of one sequence at positions [first, end), each of which looks at the last `window` tokens at
  // most, itself included.
  static StepShape of(std::size_t first, std::size_t end, std::size_t window = kNoWindow) {
    // From position `full` on a row sees the whole window, not p + 1 tokens.
    const std::size_t full = std::clamp(window, first, end);
    const auto from = static_cast<double>(first), middle = static_cast<double>(full);
    const double seen = full < end ? static_cast<double>(end - full) * static_cast<double>(window) : 0;
    return {.rows = end - first, .attended = (middle - from) * (middle + from + 1) / 2 + seen};
  }
  StepShape& operator+=(const StepShape& other) {
    rows += other.rows;
    attended += other.attended;
    return *this;
  }
  StepShape& operator-=(const StepShape& other) {
    rows -= other.rows;
    attended -= other.attended;
    return *this;
  }
  friend StepShape operator+(StepShape a, const StepShape& b) { return a += b; }
};

struct StepRates {
  double fixed_ms = 0;      // per step
  double linear_ms = 0;     // per row
  double attention_ms = 0;  // per row and token looked at
};

// Predicts; may learn. Predictions grow with rows and with tokens looked at.
class StepCost {
 public:
  // `window`: tokens that a row of this model looks at, at most, itself included.
  explicit StepCost(std::size_t window = kNoWindow) : window_(window) {}
  virtual ~StepCost() = default;
  virtual StepRates rates() const = 0;
  // A step of this shape took so long.
  virtual void observe(const StepShape& shape, double measured_ms) = 0;
  // May a step of this shape be predicted, or is it too far from all that was measured? If a shape may, so
  // may all smaller ones.
  virtual bool is_within_reach(const StepShape&) const { return true; }

  // The rows of one sequence at positions [first, end), as this model computes them.
  StepShape shape_of(std::size_t first, std::size_t end) const { return StepShape::of(first, end, window_); }

  double predict_ms(const StepShape& shape) const {
    const StepRates r = rates();
    return r.fixed_ms + static_cast<double>(shape.rows) * r.linear_ms + shape.attended * r.attention_ms;
  }

 private:
  std::size_t window_;
};

// Rates that are stated, and stay: for tests, and where a run is to be the same on every machine.
class FixedCost final : public StepCost {
 public:
  explicit FixedCost(const StepRates& rates, std::size_t window = kNoWindow)
      : StepCost(window), rates_(rates) {}
  StepRates rates() const override { return rates_; }
  void observe(const StepShape&, double) override {}

 private:
  StepRates rates_;
};

}  // namespace folio::scheduler
