// /openapi.json, made of the tables that also read the requests.
#include "server/service.h"

namespace folio::server {
namespace {

Json parsed(std::string_view text) { return Json::parse(text, nullptr, false); }

Json nullable(Json schema) { return {{"anyOf", Json::array({std::move(schema), {{"type", "null"}}})}}; }

// The numbers of tokens that --max-logprobs bounds; -1 is all of the vocabulary.
void bound_logprobs(Json& schema, const ApiFacts& facts) {
  if (schema.contains("anyOf"))
    for (Json& each : schema["anyOf"]) bound_logprobs(each, facts);
  if (schema.value("type", "") != "integer") return;
  schema["minimum"] = facts.most_logprobs == facts.vocabulary ? -1 : 0;
  schema["maximum"] = facts.most_logprobs;
}

Json request_schema(Endpoint endpoint, std::string_view required, const ApiFacts& facts) {
  Json properties = Json::object();
  for (const Field& field : request_fields()) {
    if ((field.endpoints & endpoint) == 0) continue;
    Json schema = parsed(field.schema);
    if (field.name.ends_with("logprobs")) bound_logprobs(schema, facts);
    properties[std::string(field.name)] =
        field.name == required ? std::move(schema) : nullable(std::move(schema));
  }
  for (const RefusedField& field : refused_fields()) {
    if ((field.endpoints & endpoint) == 0) continue;
    Json values = parsed(field.neutral);
    values.push_back(nullptr);
    properties[std::string(field.name)] = {{"enum", values},
                                           {"description", fmt::format("'{}' {}", field.name, field.why)}};
  }
  return {{"type", "object"},
          {"required", Json::array({required})},
          {"properties", properties},
          {"additionalProperties", false}};
}

Json reference(std::string_view name) { return {{"$ref", "#/components/schemas/" + std::string(name)}}; }

Json schemas(const ApiFacts& facts) {
  Json all;
  all["Error"] =
      parsed(R"({"type": "object", "required": ["error"], "properties": {"error": {"type": "object",
    "required": ["message", "type", "param", "code"], "properties": {"message": {"type": "string"},
    "type": {"type": "string"}, "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}})");
  all["Object"] = parsed(R"({"type": "object"})");
  all["Messages"] = parsed(R"({"type": "array", "minItems": 1, "items": {"type": "object",
    "required": ["role", "content"], "additionalProperties": false, "properties": {
      "role": {"enum": ["system", "developer", "user", "assistant"]},
      "name": {"type": "string"},
      "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object",
        "required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}}]}}}})");
  all["Prompt"] = parsed(R"({"anyOf": [{"type": "string"},
    {"type": "array", "minItems": 1, "maxItems": 128, "items": {"type": "string"}},
    {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
    {"type": "array", "minItems": 1, "maxItems": 128, "items": {"type": "array", "minItems": 1,
      "items": {"type": "integer", "minimum": 0}}}]})");
  all["Input"] = all["Prompt"];
  for (const std::size_t lists : {1, 3}) all["Input"]["anyOf"][lists]["maxItems"] = kMaxInputs;
  all["ChatRequest"] = request_schema(kChat, "messages", facts);
  all["CompletionRequest"] = request_schema(kCompletions, "prompt", facts);
  all["EmbeddingRequest"] = request_schema(kEmbeddings, "input", facts);
  all["TokenizeRequest"] = parsed(R"({"type": "object", "required": ["prompt"], "properties": {
    "model": {"type": "string", "minLength": 1}, "prompt": {"type": "string"},
    "add_special_tokens": {"type": "boolean"}, "return_token_strs": {"type": "boolean"}}})");
  all["DetokenizeRequest"] =
      parsed(R"({"type": "object", "required": ["tokens"], "additionalProperties": false,
    "properties": {"model": {"type": "string"}, "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0}}}})");
  return all;
}

Json content(std::string_view type, Json schema) {
  return {{"content", {{std::string(type), {{"schema", std::move(schema)}}}}}};
}

Json responses(bool takes_body, bool needs_key, std::string_view type) {
  Json all = Json::object();
  const auto add = [&](const char* status, const char* what, Json body) {
    body["description"] = what;
    all[status] = std::move(body);
  };
  add("200", "the answer",
      content(type, type == "application/json" ? Json::object() : Json{{"type", "string"}}));
  const Json error = content("application/json", reference("Error"));
  if (takes_body) {
    add("400", "a field is wrong, refused or unknown, or the prompt is too long", error);
    add("404", "no such model", error);
    add("413", "the body is too long", error);
    add("429", "the queue is full", error);
  }
  if (needs_key) add("401", "the API key is missing or wrong", error);
  add("503", "the server is shutting down", error);
  return all;
}

std::string_view body_schema(std::string_view path) {
  if (path.starts_with("/v1/chat")) return "ChatRequest";
  if (path.starts_with("/v1/completions")) return "CompletionRequest";
  if (path == "/v1/embeddings") return "EmbeddingRequest";
  if (path == "/tokenize") return "TokenizeRequest";
  return path == "/detokenize" ? "DetokenizeRequest" : "";
}

}  // namespace

std::string openapi_document(const ApiFacts& facts) {
  Json paths = Json::object();
  for (const Service::Route& route : Service::routes()) {
    if (route.path == "/reset_prefix_cache" && facts.mode != Mode::kDevelopment) continue;
    const std::string_view schema = body_schema(route.path);
    const bool key = route.access == Service::Route::Access::kKey;
    Json operation = {{"responses", responses(!schema.empty(), key,
                                              route.path == "/metrics" ? "text/plain" : "application/json")}};
    if (!schema.empty()) {
      operation["requestBody"] = content("application/json", reference(schema));
      operation["requestBody"]["required"] = true;
    }
    if (key) operation["security"] = Json::array({Json::object(), {{"key", Json::array()}}});
    const std::string method = route.method == "GET" ? "get" : "post";
    paths[std::string(route.path)][method] = std::move(operation);
  }
  Json document = {{"openapi", "3.1.0"},
                   {"info", {{"title", "folio"}, {"version", facts.version}}},
                   {"paths", paths},
                   {"components",
                    {{"schemas", schemas(facts)},
                     {"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}}};
  return to_text(document);
}

}  // namespace folio::server
