#include "scheduler/step_budget.h"

#include <algorithm>

namespace folio::scheduler {
namespace {

// The largest value in [low, high] for which `fits` holds, which must hold for low and, once it fails, fail
// for everything larger.
template <typename Fits>
std::size_t last_that(std::size_t low, std::size_t high, Fits fits) {
  while (low < high) {
    const std::size_t middle = low + (high - low + 1) / 2;
    if (fits(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace

StepBudget::StepBudget(const SchedulerOptions& options, const StepCost& cost)
    : cost_(&cost),
      budget_ms_(options.step_budget_ms > 0 ? options.step_budget_ms
                                            : std::numeric_limits<double>::infinity()),
      rows_left_(options.max_num_batched_tokens),
      outputs_left_(options.max_outputs) {}

std::size_t StepBudget::fit(const Work& work, std::size_t limit, std::size_t least) const {
  std::size_t end = work.first + std::min(limit - work.first, rows_left_);
  end = last_that(work.first, end, [&](std::size_t to) { return work.outputs(to) <= outputs_left_; });
  const auto in_time = [&](std::size_t to) { return is_in_time(taken_ + cost_->shape_of(work.first, to)); };
  if (in_time(end)) return end;
  return last_that(std::min(end, work.first + least), end, in_time);
}

bool StepBudget::is_in_time(const StepShape& shape) const {
  if (limit_ms_ == std::numeric_limits<double>::infinity()) return true;
  return cost_->is_within_reach(shape) && cost_->predict_ms(shape) <= limit_ms_;
}

void StepBudget::take(const StepShape& shape, std::size_t outputs) {
  taken_ += shape;
  rows_left_ -= shape.rows;
  outputs_left_ -= outputs;
}

void StepBudget::give_back(const StepShape& shape, std::size_t outputs) {
  taken_ -= shape;
  rows_left_ += shape.rows;
  outputs_left_ += outputs;
}

}  // namespace folio::scheduler
