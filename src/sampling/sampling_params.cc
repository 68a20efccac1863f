#include "sampling/sampling_params.h"

namespace folio::sampling {

Status SamplingParams::validate() const {
  // Written so that NaN, which compares false with everything, fails.
  if (!(temperature >= 0.0F && temperature <= 1000.0F))
    return fail(ErrorKind::kInvalid,
                "temperature is {}, but must be from 0 (always the most likely token) to 1000", temperature);
  if (top_k < -1)
    return fail(ErrorKind::kInvalid, "top_k is {}, but must be at least 1, or 0 or -1 for no limit", top_k);
  if (!(top_p > 0.0F && top_p <= 1.0F))
    return fail(ErrorKind::kInvalid, "top_p is {}, but must be above 0 and at most 1", top_p);
  if (!(min_p >= 0.0F && min_p <= 1.0F))
    return fail(ErrorKind::kInvalid, "min_p is {}, but must be from 0 to 1", min_p);
  if (!(repetition_penalty >= 0.001F && repetition_penalty <= 1000.0F))
    return fail(ErrorKind::kInvalid, "repetition_penalty is {}, but must be from 0.001 to 1000 (1: none)",
                repetition_penalty);
  if (!(frequency_penalty >= -2.0F && frequency_penalty <= 2.0F))
    return fail(ErrorKind::kInvalid, "frequency_penalty is {}, but must be from -2 to 2", frequency_penalty);
  if (!(presence_penalty >= -2.0F && presence_penalty <= 2.0F))
    return fail(ErrorKind::kInvalid, "presence_penalty is {}, but must be from -2 to 2", presence_penalty);
  return {};
}

}  // namespace folio::sampling
