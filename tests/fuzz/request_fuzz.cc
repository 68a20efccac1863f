// Bodies of requests, whatever they hold: an error is the API's own and names its field; what is accepted
// keeps the limits that the engine relies on. `./dev fuzz request`.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/api_error.h"
#include "api/request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace folio::api;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_error(const ApiError& error) {
  require(error.status == 400 && !error.message.empty() && error.message.size() < 20'000);
  const auto body = parse_json(error_body(error));
  require(body.has_value() && body->contains("error"));
}

void check_request(const Request& request) {
  require(request.sampling.validate().has_value());
  require(request.endpoint == kChat ? !request.messages.empty() : !request.prompts.empty());
  require(request.prompts.size() <= (request.endpoint == kEmbeddings ? kMaxInputs : kMaxPrompts));
  for (const std::string& stop : request.stop) require(!stop.empty());
  for (const Json& message : request.messages)
    require(message.at("role").is_string() && message.at("content").is_string());
  require(parse_json(to_text(request.messages)).has_value());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const Endpoint endpoint : {kChat, kCompletions, kEmbeddings}) {
    const auto request = parse_request(endpoint, body, {});
    if (request)
      check_request(*request);
    else
      check_error(request.error());
  }
  return 0;
}
