#include "api/openapi.h"

#include <utility>

#include "api/request.h"

namespace folio::api {
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

// The limits that have a name are not written into the schemas of the table.
void bound(Json& schema, std::string_view field, const ApiFacts& facts) {
  if (field.ends_with("logprobs")) bound_logprobs(schema, facts);
  if (field == "n") schema["maximum"] = engine::kMaxChoices;
  if (field == "stop") schema["anyOf"][1]["maxItems"] = kMaxStopTexts;
}

Json request_schema(Endpoint endpoint, std::string_view required, const ApiFacts& facts) {
  Json properties = Json::object();
  for (const Field& field : request_fields()) {
    if ((field.endpoints & endpoint) == 0) continue;
    Json schema = parsed(field.schema);
    bound(schema, field.name, facts);
    properties[std::string(field.name)] =
        field.name == required ? std::move(schema) : nullable(std::move(schema));
  }
  for (const RefusedField& field : refused_fields()) {
    if ((field.endpoints & endpoint) == 0) continue;
    const bool changes = field.changes == RefusedField::Changes::kAnswer;
    if (!changes && facts.unknown_fields == UnknownFields::kIgnore) {
      properties[std::string(field.name)] = {{"description", "accepted and ignored"}};
      continue;
    }
    Json values = parsed(field.neutral);
    values.push_back(nullptr);
    properties[std::string(field.name)] = {{"enum", values},
                                           {"description", fmt::format("'{}' {}", field.name, field.why)}};
  }
  return {{"type", "object"},
          {"required", Json::array({required})},
          {"properties", properties},
          {"additionalProperties", facts.unknown_fields == UnknownFields::kIgnore}};
}

Json reference(std::string_view name) { return {{"$ref", "#/components/schemas/" + std::string(name)}}; }

// Either kind of request; what it says of sampling is checked and not used.
Json tokenize_schema(Endpoint endpoint, const ApiFacts& facts) {
  Json schema = request_schema(endpoint, endpoint == kChat ? "messages" : "prompt", facts);
  if (endpoint == kCompletions) schema["properties"]["prompt"] = {{"type", "string"}};
  schema["properties"]["return_token_strs"] = nullable({{"type", "boolean"}});
  return schema;
}

// Of what the endpoints answer.
Json answer_schemas() {
  Json all;
  all["Usage"] =
      parsed(R"({"type": "object", "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
    "properties": {"prompt_tokens": {"type": "integer", "minimum": 0}, "completion_tokens": {"type": "integer", "minimum": 0},
      "total_tokens": {"type": "integer", "minimum": 0}, "prompt_tokens_details": {"type": "object",
        "required": ["cached_tokens"], "properties": {"cached_tokens": {"type": "integer", "minimum": 0}}}}})");
  const auto answer = [](std::string_view object, std::string_view name, std::string_view content) {
    return parsed(fmt::format(
        R"({{"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {{"id": {{"type": "string"}}, "object": {{"const": "{}"}}, "created": {{"type": "integer"}},
      "model": {{"type": "string"}}, "usage": {{"$ref": "#/components/schemas/Usage"}}, "choices": {{"type": "array",
        "items": {{"type": "object", "required": ["index", "finish_reason", "logprobs", "{}"], "properties": {{
          "index": {{"type": "integer"}}, "{}": {}, "logprobs": {{"type": ["object", "null"]}},
          "finish_reason": {{"enum": ["stop", "length"]}}}}}}}}}}}})",
        object, name, name, content));
  };
  all["ChatAnswer"] = answer("chat.completion", "message",
                             R"({"type": "object", "required": ["role", "content"], "properties":
      {"role": {"const": "assistant"}, "content": {"type": "string"}}})");
  all["CompletionAnswer"] = answer("text_completion", "text", R"({"type": "string"})");
  all["Embeddings"] =
      parsed(R"({"type": "object", "required": ["id", "object", "created", "model", "data", "usage"],
    "properties": {"object": {"const": "list"}, "model": {"type": "string"}, "data": {"type": "array", "minItems": 1,
      "items": {"type": "object", "required": ["object", "index", "embedding"], "properties": {
        "object": {"const": "embedding"}, "index": {"type": "integer", "minimum": 0},
        "embedding": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]}}}},
      "usage": {"type": "object", "required": ["prompt_tokens", "total_tokens"]}}})");
  all["Model"] =
      parsed(R"({"type": "object", "required": ["id", "object", "created", "owned_by", "max_model_len"],
    "properties": {"id": {"type": "string"}, "object": {"const": "model"}, "created": {"type": "integer"},
      "owned_by": {"type": "string"}, "max_model_len": {"type": "integer", "minimum": 1}}})");
  all["Models"] =
      parsed(R"({"type": "object", "required": ["object", "data"], "properties": {"object": {"const": "list"},
    "data": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Model"}}}})");
  all["Tokens"] = parsed(R"({"type": "object", "required": ["count", "max_model_len", "tokens", "token_strs"],
    "properties": {"count": {"type": "integer"}, "max_model_len": {"type": "integer"},
      "tokens": {"type": "array", "items": {"type": "integer"}},
      "token_strs": {"type": ["array", "null"], "items": {"type": "string"}}}})");
  all["Text"] =
      parsed(R"({"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}})");
  all["Rendered"] =
      parsed(R"({"type": "object", "required": ["request_id", "model", "token_ids", "sampling_params"],
    "properties": {"token_ids": {"type": "array", "items": {"type": "integer"}}}})");
  all["RenderedList"] = parsed(R"({"type": "array", "items": {"$ref": "#/components/schemas/Rendered"}})");
  all["Version"] =
      parsed(R"({"type": "object", "required": ["version"], "properties": {"version": {"type": "string"}}})");
  all["Load"] = parsed(R"({"type": "object", "required": ["server_load"], "properties": {
    "server_load": {"type": "integer", "minimum": 0}}})");
  return all;
}

Json schemas(const ApiFacts& facts) {
  Json all;
  all["Error"] =
      parsed(R"({"type": "object", "required": ["error"], "properties": {"error": {"type": "object",
    "required": ["message", "type", "param", "code"], "properties": {"message": {"type": "string"},
    "type": {"type": "string"}, "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}})");
  all["Object"] = parsed(R"({"type": "object"})");
  all["Messages"] = parsed(R"({"type": "array", "minItems": 1, "items": {"type": "object",
    "required": ["role", "content"], "properties": {
      "role": {"enum": ["system", "developer", "user", "assistant"]},
      "name": {"type": "string"},
      "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object",
        "required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}}]}}}})");
  all["Prompt"] = parsed(R"({"anyOf": [{"type": "string"},
    {"type": "array", "minItems": 1, "items": {"type": "string"}},
    {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}},
    {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1,
      "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}}}]})");
  all["Input"] = all["Prompt"];
  for (const std::size_t lists : {1, 3}) {
    all["Prompt"]["anyOf"][lists]["maxItems"] = kMaxPrompts;
    all["Input"]["anyOf"][lists]["maxItems"] = kMaxInputs;
  }
  all["ChatRequest"] = request_schema(kChat, "messages", facts);
  all["CompletionRequest"] = request_schema(kCompletions, "prompt", facts);
  all["EmbeddingRequest"] = request_schema(kEmbeddings, "input", facts);
  all["TokenizeRequest"] = {
      {"anyOf", Json::array({tokenize_schema(kCompletions, facts), tokenize_schema(kChat, facts)})}};
  all["DetokenizeRequest"] =
      parsed(R"({"type": "object", "required": ["tokens"], "additionalProperties": false,
    "properties": {"model": {"type": "string"}, "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}}}})");
  all.update(answer_schemas());
  return all;
}

Json content(std::string_view type, Json schema) {
  return {{"content", {{std::string(type), {{"schema", std::move(schema)}}}}}};
}

std::string_view answer_schema(std::string_view path) {
  static constexpr std::pair<std::string_view, std::string_view> kAnswers[] = {
      {"/v1/chat/completions", "ChatAnswer"},
      {"/v1/completions", "CompletionAnswer"},
      {"/v1/chat/completions/render", "Rendered"},
      {"/v1/completions/render", "RenderedList"},
      {"/v1/embeddings", "Embeddings"},
      {"/v1/models", "Models"},
      {"/tokenize", "Tokens"},
      {"/detokenize", "Text"},
      {"/version", "Version"},
      {"/load", "Load"}};
  for (const auto& [route, name] : kAnswers)
    if (route == path) return name;
  return "Object";
}

// A stream's events are not told from one another here: their kinds are those of the API.
Json answer_content(std::string_view path) {
  if (path == "/metrics") return content("text/plain", {{"type", "string"}});
  Json made = content("application/json", reference(answer_schema(path)));
  if (path == "/v1/chat/completions" || path == "/v1/completions")
    made["content"]["text/event-stream"] = {{"schema", Json::object()}};
  return made;
}

Json responses(std::string_view path, bool takes_body, bool needs_key) {
  Json all = Json::object();
  const auto add = [&](const char* status, const char* what, Json body) {
    body["description"] = what;
    all[status] = std::move(body);
  };
  add("200", "the answer", answer_content(path));
  const Json error = content("application/json", reference("Error"));
  if (takes_body) {
    add("400", "a field is wrong, refused or unknown, or the prompt is too long", error);
    add("404", "no such model", error);
    add("413", "the body is too long", error);
    add("429", "the queue is full", error);
  }
  if (needs_key) add("401", "the API key is missing or wrong", error);
  if (path == "/reset_prefix_cache") add("409", "generations are running", error);
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

std::string openapi_document(const ApiFacts& facts, std::span<const Route> routes) {
  Json paths = Json::object();
  for (const Route& route : routes) {
    const std::string_view schema = body_schema(route.path);
    const bool key = route.access == Access::kKey;
    Json operation = {{"responses", responses(route.path, !schema.empty(), key)}};
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

}  // namespace folio::api
