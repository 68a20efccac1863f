#include "app/batch/request.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/hash.h"
#include "text/utf8.h"

namespace folio::app {
namespace {

using api::Json;

constexpr std::pair<std::string_view, api::Endpoint> kUrls[] = {{"/v1/chat/completions", api::kChat},
                                                                {"/v1/completions", api::kCompletions},
                                                                {"/v1/embeddings", api::kEmbeddings}};

std::string text_of(const Json& json, const char* name) {
  const auto at = json.find(name);
  return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
}

// Without what is about streams, which no line of a file is.
Json whole(Json body) {
  body.erase("stream");
  body.erase("stream_options");
  return body;
}

}  // namespace

std::expected<BatchRequest, BatchRefusal> read_batch_line(std::string_view line,
                                                          const api::ServedModel& served) {
  const auto refuse = [](std::string id, std::string code, std::string message) {
    return std::unexpected(BatchRefusal{std::move(id), std::move(code), std::move(message)});
  };
  if (text::first_invalid_utf8(line)) return refuse("", "invalid_json", "the line is not valid UTF-8");
  const auto parsed = api::parse_json(line);
  if (!parsed) return refuse("", "invalid_json", "the line cannot be read: " + parsed.error().message);
  const Json& json = *parsed;
  if (!json.is_object()) return refuse("", "invalid_json", "the line is not a JSON object");
  BatchRequest batch{.custom_id = text_of(json, "custom_id"), .body = {}};
  if (batch.custom_id.empty()) return refuse("", "missing_custom_id", "the line has no 'custom_id'");
  const std::string url = text_of(json, "url");
  const auto endpoint =
      std::ranges::find(kUrls, std::string_view(url), [](const auto& u) { return u.first; });
  if (text_of(json, "method") != "POST" || endpoint == std::end(kUrls))
    return refuse(
        batch.custom_id, "invalid_url",
        "'method' and 'url' must be POST and /v1/chat/completions, /v1/completions or /v1/embeddings");
  const auto body = json.find("body");
  if (body == json.end() || !body->is_object())
    return refuse(batch.custom_id, "invalid_request", "'body' must be an object");
  auto prepared = api::prepare_request(served, endpoint->second, whole(*body));
  if (!prepared) {
    const api::ApiError& error = prepared.error();
    return refuse(batch.custom_id, error.code.empty() ? "invalid_request" : error.code, error.message);
  }
  batch.body = std::move(*prepared);
  if (const std::string user = text_of(*body, "user"); !user.empty())
    batch.body.request.tenant = hash128({std::as_bytes(std::span(user))}).low;  // see --fair-users
  return batch;
}

}  // namespace folio::app
