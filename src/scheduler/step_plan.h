// StepPlan: who computes how many tokens in one step, decided. Plain data; the scheduler makes it, the engine
// carries it out.
#pragma once

#include <cstddef>
#include <vector>

#include "base/ids.h"
#include "scheduler/step_cost.h"

namespace folio::scheduler {

// Rows of one sequence: its tokens [first, end), of which the last `outputs` want logits.
struct PlannedRows {
  SequenceId sequence;
  std::size_t first;
  std::size_t end;
  std::size_t outputs;

  friend bool operator==(const PlannedRows&, const PlannedRows&) = default;
};

struct StepPlan {
  std::vector<PlannedRows> items;     // blocks for them are reserved
  std::vector<SequenceId> admitted;   // began, or resumed, with this step
  std::vector<SequenceId> preempted;  // gave their blocks up; they wait again
  StepShape shape;                    // of all items
  double predicted_ms = 0;

  bool empty() const { return items.empty(); }
};

}  // namespace folio::scheduler
