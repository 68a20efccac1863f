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
    case 501:
    case 503:
      return "server_error";
    default:
      return "invalid_request_error";
  }
}

const char* anthropic_type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

ErrorShape shape_of(std::string_view path) {
  if (path.starts_with("/v1/messages")) return ErrorShape::kAnthropic;
  return path.starts_with("/api/") ? ErrorShape::kOllama : ErrorShape::kOpenAi;
}

std::string error_body(const ApiError& error, ErrorShape shape) {
  if (shape == ErrorShape::kOllama) return to_text({{"error", error.message}});
  if (shape == ErrorShape::kAnthropic)
    return to_text({{"type", "error"},
                    {"error", {{"type", anthropic_type_of(error.status)}, {"message", error.message}}}});
  Json json;
  json["error"] = {{"message", error.message},
                   {"type", type_of(error.status)},
                   {"param", text_or_null(error.param)},
                   {"code", text_or_null(error.code)}};
  return to_text(json);
}

}  // namespace folio::api
