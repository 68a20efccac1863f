// The rows of `folio inspect`.
#pragma once

#include "app/flag.h"
#include "app/options.h"

namespace folio::app {

// `inspect` outlives the rows.
[[nodiscard]] Command describe_inspect(InspectOptions& inspect);

}  // namespace folio::app
