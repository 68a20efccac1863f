// StepBudget: what one step may still take on, in rows, in rows that want logits, and in predicted time.
//
// Thread rule: the scheduler's thread. Cost: fit() is O(log rows).
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "scheduler/scheduler_options.h"
#include "scheduler/step_cost.h"

namespace folio::scheduler {

inline constexpr std::size_t kLastOutputOnly = std::numeric_limits<std::size_t>::max();

// The tokens [first, known) that a sequence still has to compute, and from which position on it wants logits
// (the last known token always wants them: something is sampled there).
struct Work {
  std::size_t first;
  std::size_t known;
  std::size_t outputs_from = kLastOutputOnly;

  // Of rows [first, end), how many want logits.
  std::size_t outputs(std::size_t end) const {
    const std::size_t asked = end > outputs_from ? end - std::max(first, outputs_from) : 0;
    return asked == 0 && end == known ? 1 : asked;
  }
};

class StepBudget {
 public:
  StepBudget(const SchedulerOptions& options, const StepCost& cost);

  // From here on time counts too: others decode in this step.
  void limit_time() { limit_ms_ = budget_ms_; }

  // The largest end in [work.first, limit] for which rows [work.first, end) fit. Time never cuts them below
  // `least` rows. Requires: work.first <= limit <= work.known.
  std::size_t fit(const Work& work, std::size_t limit, std::size_t least) const;

  void take(const StepShape& shape, std::size_t outputs);
  void give_back(const StepShape& shape, std::size_t outputs);

  std::size_t rows_left() const { return rows_left_; }
  const StepShape& taken() const { return taken_; }

 private:
  bool is_in_time(const StepShape& shape) const;

  const StepCost* cost_;
  double budget_ms_;
  double limit_ms_ = std::numeric_limits<double>::infinity();
  std::size_t rows_left_;
  std::size_t outputs_left_;
  StepShape taken_;
};

}  // namespace folio::scheduler
