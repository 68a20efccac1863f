// What an experiment is asked for. Plain data.
#pragma once

#include <optional>
#include <string>

#include "kernels/attention/kv_type.h"
#include "kernels/linear/packed_matrix.h"

namespace folio::experiments {

enum class Format { kText, kJson };
enum class Probing { kMeasure, kSkip };  // of the machine's limits

struct Options {
  std::string model;                       // empty: the default model
  std::string trace;                       // of requests; empty: none
  int threads = 0;                         // 0: as many as affinity and cgroup allow
  std::optional<kernels::KvType> kv_type;  // unset: default_kv_type()
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kMixed;
  Format format = Format::kText;
  Probing probing = Probing::kMeasure;
};

}  // namespace folio::experiments
