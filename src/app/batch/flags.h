// The rows of `folio batch`.
#pragma once

#include "app/batch/options.h"
#include "app/flag.h"

namespace folio::app {

// `batch` outlives the rows.
[[nodiscard]] Command describe_batch(BatchOptions& batch);

// Errors: a file is missing.
[[nodiscard]] Status check_batch(const BatchOptions& batch);

}  // namespace folio::app
