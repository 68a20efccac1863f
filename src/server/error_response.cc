#include "server/error_response.h"

namespace folio::server {

HttpResponse error_response(const api::ApiError& error, api::ErrorShape shape) {
  HttpResponse response{.status = error.status, .body = api::error_body(error, shape), .headers = {}};
  if (error.retry_after_s > 0)
    response.headers.push_back({"Retry-After", std::to_string(error.retry_after_s)});
  if (!error.allowed.empty()) response.headers.push_back({"Allow", error.allowed});
  if (error.status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

}  // namespace folio::server
