// From a checked request to the engine's. What the engine learns to do is turned on here and in the tables of
// request.h.
#pragma once

#include <vector>

#include "api/request.h"
#include "engine/engine.h"

namespace folio::api {

// A request as the engine takes it, but for its seed. `engine`: its immutable part; any thread.
[[nodiscard]] engine::GenerationRequest engine_request(const Request& request, const engine::Engine& engine,
                                                       std::vector<TokenId> prompt);

}  // namespace folio::api
