#include "platform/pause.h"

#include <thread>

namespace folio::platform {

void pause(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

}  // namespace folio::platform
