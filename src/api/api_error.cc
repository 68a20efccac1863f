#include "api/api_error.h"

#include "api/json.h"

namespace folio::api {
namespace {

const char* type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 500:
    case 503:
      return "server_error";
    default:
      return "invalid_request_error";
  }
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

std::string error_body(const ApiError& error) {
  Json json;
  json["error"] = {{"message", error.message},
                   {"type", type_of(error.status)},
                   {"param", text_or_null(error.param)},
                   {"code", text_or_null(error.code)}};
  return to_text(json);
}

}  // namespace folio::api
