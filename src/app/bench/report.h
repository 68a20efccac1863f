// What `folio bench` measured, as a table for people, one JSON object, or CSV.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/bench/engine.h"
#include "app/bench/options.h"
#include "capacity/step_work.h"
#include "kernels/probe/machine_probe.h"

namespace folio::app {

using capacity::bandwidth, capacity::count_model, capacity::count_steps, capacity::limiting_memory,
    capacity::matrices_of, capacity::visible_positions;
using capacity::MatrixSpec, capacity::Memory, capacity::OperationKind, capacity::ModelWork,
    capacity::Roofline, capacity::WorkTotals;

enum class BenchTest { kPrefill, kDecode };

// How one engine is set up; every shape runs on each.
struct BenchSetting {
  int threads = 0;
  kernels::KvType kv_type{};
  kernels::Arithmetic arithmetic{};
};

// One line: one test of one shape in one setting, all its repetitions.
struct BenchRow {
  BenchTest test{};
  BenchSetting setting;
  RunShape shape;
  std::vector<double> tokens_per_s;  // ascending, one of each repetition; never empty
  double seconds = 0;                // of the median repetition
  WorkTotals work;                   // of one repetition
  Memory memory{};                   // that limits it
  std::optional<double> bandwidth;   // of that memory, bytes/s; unset: not measured

  double median() const { return tokens_per_s[tokens_per_s.size() / 2]; }
  double share() const { return work.limit_s / seconds; }  // of the roofline; 0 where not measured
};

// The fields of a row by name, in the order of the CSV's columns; limits that were not measured are null.
[[nodiscard]] nlohmann::ordered_json row_fields(const BenchRow& row);
[[nodiscard]] std::string csv_header();
[[nodiscard]] std::string csv_line(const BenchRow& row);

[[nodiscard]] nlohmann::ordered_json limits_fields(const kernels::MachineLimits& limits);
[[nodiscard]] nlohmann::ordered_json machine_fields();  // CPU, ISA and caches
[[nodiscard]] nlohmann::ordered_json engine_fields(const engine::EngineOptions& options);  // of all runs

[[nodiscard]] std::string machine_text();
[[nodiscard]] std::string limits_text(const kernels::MachineLimits& limits);
[[nodiscard]] std::string table_header();
[[nodiscard]] std::string table_line(const BenchRow& row);

}  // namespace folio::app
