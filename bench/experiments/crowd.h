// What an engine does with blocks and sequences, and what that costs, on a model that computes nothing: the
// scheduler, the prefix cache, the batches and the streams are the real ones, a step takes microseconds.
#pragma once

#include <cstddef>

#include "base/result.h"

namespace folio::experiments {

// 64 sequences that decode while others wait for a seat; prompts of 1,000 to 3,000 tokens, all different.
struct Upkeep {
  std::size_t sequences = 0;
  std::size_t steps = 0;      // measured, every one with all sequences running
  double median_step_us = 0;  // nearly all only decode
  double mean_step_us = 0;    // with admissions, look-ups and the rows of prompts
  double live_share = 0;  // of the bytes of blocks in use: that hold computed tokens; mean over decode steps
};
[[nodiscard]] Result<Upkeep> measure_upkeep();

// As many sequences as find room in the KV memory of `slots` contiguous slots of the greatest length, with
// lengths as people's: the quantiles of Azure's conversation trace of 2023.
struct Slots {
  std::size_t slots = 0, slot_tokens = 0;
  double mean_sequences = 0;    // running while others wait
  std::size_t preemptions = 0;  // of `requests`
  std::size_t requests = 0;

  double ratio() const { return mean_sequences / static_cast<double>(slots); }
};
[[nodiscard]] Result<Slots> measure_slots();

// Requests with one system prompt, in common: blocks saved, of those that no sharing would take.
struct SharedPrompt {
  std::size_t requests = 0, shared_tokens = 0, own_tokens = 0;
  double saved_share = 0;  // while all of them generate
};
[[nodiscard]] Result<SharedPrompt> measure_shared_prompt();

}  // namespace folio::experiments
