// pause(): the calling thread sleeps.
#pragma once

#include <chrono>

namespace folio::platform {

void pause(std::chrono::milliseconds time);

}  // namespace folio::platform
