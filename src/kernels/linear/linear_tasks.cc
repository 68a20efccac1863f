#include "kernels/linear/linear_tasks.h"

#include <algorithm>

#include "base/check.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kTaskBytes = std::size_t{24}
                                   << 10;  // weights a task reads at least: some microseconds of work
// With many rows a task takes more: all of them pass by it once, from the third-level cache, while its
// weights stay in the second. But no thread's share is cut into fewer tasks than this.
constexpr std::size_t kManyRows = 64, kManyRowsTaskBytes = std::size_t{192} << 10;
constexpr std::size_t kTasksOfThread = 8;

std::size_t task_panels(const MatrixShape& shape, std::size_t rows, std::size_t threads) {
  const std::size_t panel_bytes = std::max<std::size_t>(1, shape.panel_bytes());
  const std::size_t fewest = std::max<std::size_t>(1, kTaskBytes / panel_bytes);
  if (rows < kManyRows) return fewest;
  const std::size_t share = shape.panels() / (kTasksOfThread * threads);
  return std::max(fewest, std::min(share, kManyRowsTaskBytes / panel_bytes));
}

}  // namespace

LinearTasks::LinearTasks(std::span<const MatrixShape* const> shapes, std::size_t rows,
                         std::span<const int> node_ends)
    : node_ends_(node_ends), call_count_(shapes.size()) {
  const auto threads = static_cast<std::size_t>(node_ends.back());
  for (std::size_t i = 0; i < call_count_; ++i) {
    const std::size_t panels = shapes[i]->panels(), each = task_panels(*shapes[i], rows, threads);
    calls_[i] = {.panels = panels, .task_panels = each, .tasks = (panels + each - 1) / each};
    size_ += calls_[i].tasks;
  }
}

LinearTasks::Task LinearTasks::at(std::size_t index) const {
  const auto threads = static_cast<std::size_t>(node_ends_.back());
  std::size_t first_thread = 0;
  for (int node_end : node_ends_) {
    const auto end_thread = static_cast<std::size_t>(node_end);
    for (std::size_t i = 0; i < call_count_; ++i) {
      const Call& call = calls_[i];
      const std::size_t first = call.tasks * first_thread / threads;
      const std::size_t count = call.tasks * end_thread / threads - first;
      if (index < count) {
        const std::size_t panel = (first + index) * call.task_panels;
        return {
            .call = i, .first_panel = panel, .end_panel = std::min(call.panels, panel + call.task_panels)};
      }
      index -= count;
    }
    first_thread = end_thread;
  }
  FOLIO_CHECK(false, "a task outside the list");
}

}  // namespace folio::kernels
