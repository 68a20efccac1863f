#include "scheduler/scheduler_options.h"

#include <cmath>

namespace folio::scheduler {

Status SchedulerOptions::validate(std::size_t context_tokens) const {
  if (max_num_seqs == 0)
    return fail(ErrorKind::kInvalid, "--max-num-seqs is 0, so nothing could ever run; give at least 1");
  if (max_num_batched_tokens < max_num_seqs)
    return fail(ErrorKind::kInvalid,
                "--max-num-batched-tokens {} is less than --max-num-seqs {}: not every sequence could get a "
                "token in a step; give at least {}",
                max_num_batched_tokens, max_num_seqs, max_num_seqs);
  if (max_outputs < max_num_seqs)
    return fail(ErrorKind::kInvalid, "{} rows of logits are too few for --max-num-seqs {}", max_outputs,
                max_num_seqs);
  // A whole prompt must fit beside a token of everybody else, or it might wait for ever.
  const std::size_t whole = context_tokens + max_num_seqs;
  if (chunked_prefill == ChunkedPrefill::kOff && max_num_batched_tokens < whole)
    return fail(ErrorKind::kInvalid,
                "without --enable-chunked-prefill a prompt is computed in one step, so "
                "--max-num-batched-tokens {} must be at least the context and --max-num-seqs together: {}",
                max_num_batched_tokens, whole);
  if (!(step_budget_ms >= 0) || !std::isfinite(step_budget_ms))
    return fail(ErrorKind::kInvalid, "a step budget of {} ms is none; give a time, or 0 for no limit",
                step_budget_ms);
  return {};
}

}  // namespace folio::scheduler
