// The limits and rules of scheduling. Names and meanings of the limits are vLLM's, so its flags carry over.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace folio::scheduler {

enum class Policy {
  kFcfs,      // first come, first served
  kPriority,  // smaller priorities first, but see kAgingMs; without fair sharing they preempt for a seat or
              // room
};
enum class Fairness {
  kNone,
  kTenants,  // rows and admissions go to the tenant that was served least
};
enum class ChunkedPrefill {
  kOn,   // a prompt may take several steps, together with others' tokens
  kOff,  // a prompt is computed in one step
};

// One level of priority is worth this much waiting: a request of priority p that arrives at time t comes
// before every request of priority q that arrives after t + (p - q) * kAgingMs. So the order of two requests
// never changes, and only so many can ever pass one.
inline constexpr double kAgingMs = 10'000;

// However little time is left beside the others' tokens, a step computes this much of a prompt: time budgets
// slow a prompt down, they cannot stop it.
inline constexpr std::size_t kLeastPrefillTokens = 16;

struct SchedulerOptions {
  std::size_t max_num_seqs = 64;                 // sequences that hold blocks at the same time
  std::size_t max_num_batched_tokens = 512;      // rows in one step
  std::size_t max_outputs = 64;                  // rows in one step that want logits
  std::size_t long_prefill_token_threshold = 0;  // of one prompt in one step; 0: no such limit
  ChunkedPrefill chunked_prefill = ChunkedPrefill::kOn;
  Policy policy = Policy::kFcfs;
  Fairness fairness = Fairness::kNone;
  // Predicted time of a step in which prompts are computed beside others' tokens. 0: no such limit.
  double step_budget_ms = 250;

  // `context_tokens`: the longest sequence. Errors: kInvalid naming the flag, its value and what is possible.
  [[nodiscard]] Status validate(std::size_t context_tokens) const;
};

}  // namespace folio::scheduler
