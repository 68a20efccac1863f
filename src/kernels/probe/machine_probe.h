// The machine's own limits, measured in the same run as the figures that are held against them.
#pragma once

#include <cstddef>
#include <optional>

#include "base/result.h"
#include "kernels/isa.h"

namespace folio::kernels {

// One thread alone, and as many as were asked for together.
struct MeasuredLimit {
  double one_thread = 0;
  double all_threads = 0;
};

struct MachineLimits {
  Isa isa{};        // whose instructions did the work
  int threads = 1;  // in all_threads
  // Bytes per second.
  MeasuredLimit memory;  // reads from a buffer of many times the last-level cache
  MeasuredLimit cache;   // reads from one that fits the last-level cache and not the levels before it
  // Operations per second; a multiply-add is two.
  MeasuredLimit int8, f32;
  std::optional<MeasuredLimit> bf16;                    // where processor and instruction set have it
  std::optional<MeasuredLimit> int8_tiles, bf16_tiles;  // of AMX, likewise

  // What limits layers of codes: the tiles where this instruction set has them.
  const MeasuredLimit& int8_peak() const { return int8_tiles ? *int8_tiles : int8; }
};

struct ProbeOptions {
  Isa isa{};        // Requires: one of available_isas()
  int threads = 1;  // Requires: at least 1
  int passes = 7;
  double pass_s = 0.04;
  std::size_t memory_bytes = 0;  // of the buffer; 0: eight times the last-level cache, at least 512 MB
};

// Takes about three seconds and, for their length, the buffer's memory (at most half of what is available).
// Each figure is the best of several passes: what disturbs a pass only ever makes it slower.
// Errors: kTooLarge where the memory cannot be had.
[[nodiscard]] Result<MachineLimits> measure_limits(const ProbeOptions& options);

}  // namespace folio::kernels
