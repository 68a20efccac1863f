// /openapi.json, made of the tables that also read the requests (request.h).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "api/request.h"

namespace folio::api {

enum class Access { kOpen, kKey };  // kKey: whoever asks must show an API key, where there are keys

// One thing that can be asked.
struct Route {
  std::string_view method, path;
  Access access = Access::kKey;
};

struct ApiFacts {
  std::string version;
  std::size_t most_logprobs = kDefaultMaxLogprobs, vocabulary = 0;
  UnknownFields unknown_fields = UnknownFields::kIgnore;
};

// An OpenAPI 3.1 document that describes `routes`.
[[nodiscard]] std::string openapi_document(const ApiFacts& facts, std::span<const Route> routes);

}  // namespace folio::api
