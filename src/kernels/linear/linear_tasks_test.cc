#include "kernels/linear/linear_tasks.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace folio::kernels {
namespace {

constexpr std::size_t kColumns = 512;  // panels of 8,704 bytes, two to a task of few rows

MatrixShape shape(std::size_t outputs) {
  return {.type = TensorType::kQ8_0, .format = LinearFormat::kQ8_0, .rows = outputs, .columns = kColumns};
}

struct Nodes {
  std::vector<int> ends;  // of the threads
};

TEST(LinearTasks, CoverEveryPanelOnceOnAnyNodes) {
  const MatrixShape shapes[] = {shape(1), shape(16 * 7), shape(16 * 200 - 3), shape(16 * 64)};
  const std::array all = {&shapes[0], &shapes[1], &shapes[2], &shapes[3]};
  for (const Nodes& nodes : {Nodes{{1}}, Nodes{{8}}, Nodes{{4, 8}}, Nodes{{1, 2, 3}}, Nodes{{5, 6, 11, 48}}})
    for (std::size_t rows : {1, 512})
      for (std::size_t count = 1; count <= 4; ++count) {
        const std::span<const MatrixShape* const> used(all.data(), count);
        const LinearTasks tasks(used, rows, nodes.ends);
        std::vector<std::vector<int>> visits;
        for (std::size_t i = 0; i < count; ++i) visits.emplace_back(shapes[i].panels());
        for (std::size_t index = 0; index < tasks.size(); ++index) {
          const LinearTasks::Task task = tasks.at(index);
          ASSERT_LT(task.first_panel, task.end_panel);
          for (std::size_t panel = task.first_panel; panel < task.end_panel; ++panel)
            ++visits.at(task.call).at(panel);
        }
        for (const auto& of_call : visits) EXPECT_EQ(of_call, std::vector<int>(of_call.size(), 1));
      }
}

// The share of a node's threads in the tasks against its share in packing, where a panel is a task.
TEST(LinearTasks, ANodeMultipliesThePanelsThatItPacked) {
  const MatrixShape shapes[] = {shape(16 * 640), shape(16 * 960)};
  const std::array both = {&shapes[0], &shapes[1]};
  for (const Nodes& nodes : {Nodes{{4, 8}}, Nodes{{2, 8}}, Nodes{{3, 4, 10, 16}}}) {
    const LinearTasks tasks(both, 1, nodes.ends);
    const auto threads = static_cast<std::size_t>(nodes.ends.back());
    std::size_t first_thread = 0, elsewhere = 0;
    for (int end : nodes.ends) {
      const auto end_thread = static_cast<std::size_t>(end);
      for (std::size_t index = tasks.size() * first_thread / threads;
           index < tasks.size() * end_thread / threads; ++index) {
        const LinearTasks::Task task = tasks.at(index);
        const std::size_t panels = shapes[task.call].panels();
        for (std::size_t panel = task.first_panel; panel < task.end_panel; ++panel)
          elsewhere += panel < panels * first_thread / threads || panel >= panels * end_thread / threads;
      }
      first_thread = end_thread;
    }
    EXPECT_LE(elsewhere, 4 * nodes.ends.size()) << nodes.ends.size() << " nodes";  // two tasks a border
  }
}

}  // namespace
}  // namespace folio::kernels
