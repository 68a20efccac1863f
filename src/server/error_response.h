// An ApiError as an HTTP response.
#pragma once

#include "api/api_error.h"
#include "server/http.h"

namespace folio::server {

// Its body, and the headers that its status asks for: Retry-After, Allow, WWW-Authenticate.
[[nodiscard]] HttpResponse error_response(const api::ApiError& error,
                                          api::ErrorShape shape = api::ErrorShape::kOpenAi);

}  // namespace folio::server
