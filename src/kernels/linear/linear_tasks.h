// The tasks of linear(): runs of panels of one matrix, numbered so that a thread pool's contiguous shares are
// what its threads have near.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/linear/packed_matrix.h"

namespace folio::kernels {

// Panels of a matrix were packed, and so first touched, in contiguous shares of the threads. Tasks are
// numbered node by node: the panels of every matrix that the first NUMA node's threads packed, then those of
// the next. With one node that is matrix by matrix.
//
//   two matrices, two nodes  | matrix 0, first half | matrix 1, first half | matrix 0, second | matrix 1, ...
//   | the threads' shares      |------- of the first node's threads ---------|------ of the second's
//   -----------|
//
// A share's border may be off by a task for each matrix. Allocates nothing.
class LinearTasks {
 public:
  static constexpr std::size_t kMaxCalls = 4;

  struct Task {
    std::size_t call;                    // which matrix
    std::size_t first_panel, end_panel;  // of it
  };

  // `node_ends`: ThreadPool::node_ends(); must outlive this. Requires: 1 to kMaxCalls shapes.
  LinearTasks(std::span<const MatrixShape* const> shapes, std::size_t rows, std::span<const int> node_ends);

  std::size_t size() const { return size_; }
  Task at(std::size_t index) const;  // Requires: index < size()

 private:
  struct Call {
    std::size_t panels, task_panels, tasks;
  };
  std::span<const int> node_ends_;
  std::size_t size_ = 0, call_count_;
  Call calls_[kMaxCalls] = {};
};

}  // namespace folio::kernels
