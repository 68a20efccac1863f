// Names of threads, as `top -H` and /proc/PID/task/*/comm show them: the first 15 bytes.
#pragma once

#include <string>

namespace folio::platform {

void name_this_thread(const std::string& name);

}  // namespace folio::platform
