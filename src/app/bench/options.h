// What `folio bench` is asked for, checked: every number is in its range. Plain data.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/options.h"

namespace folio::app {

enum class SharedPrefix { kOff, kOn };  // do the streams have one context in common, or one each?
enum class BenchFormat { kText, kJson, kCsv };
enum class BenchMode {
  kRuns,       // every combination of the lists
  kOverview,   // one table: load, memory, prefill, decode, what the cache is worth
  kProbeOnly,  // the machine's limits alone; no model
};
enum class Probing { kMeasure, kSkip };

inline constexpr std::size_t kMaxStreams = 256;
inline constexpr std::size_t kMaxCombinations = 1000;

// Lists are never empty.
struct BenchOptions {
  std::string model;  // empty: the default model
  std::vector<std::size_t> prompt = {512};
  std::vector<std::size_t> generate = {64};
  std::vector<std::size_t> depth = {0};
  std::vector<std::size_t> streams = {1};
  std::vector<SharedPrefix> shared_prefix = {SharedPrefix::kOff};
  std::vector<std::optional<kernels::KvType>> kv_types = {std::nullopt};  // unset: default_kv_type()
  std::vector<kernels::Arithmetic> arithmetic = {kernels::Arithmetic::kMixed};
  std::vector<int> threads = {0};  // 0: as many as affinity and cgroup allow
  engine::EngineOptions engine;    // what holds for all runs: all but its model and the lists above
  std::size_t repetitions = 5;
  BenchFormat format = BenchFormat::kText;
  BenchMode mode = BenchMode::kRuns;
  Probing probing = Probing::kMeasure;
};

}  // namespace folio::app
