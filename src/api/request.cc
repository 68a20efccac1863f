#include "api/request.h"

#include <algorithm>

#include "api/field_values.h"

namespace folio::api {
namespace {

constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant"};

const char* path_of(Endpoint endpoint) {
  if (endpoint == kEmbeddings) return "/v1/embeddings";
  return endpoint == kChat ? "/v1/chat/completions" : "/v1/completions";
}

Checked<void> read_field(const std::string& name, const Json& value, Reading& reading) {
  if (value.is_null()) return {};
  const Endpoint endpoint = reading.request.endpoint;
  const auto is_named = [&](const auto& field) {
    return field.name == name && (field.endpoints & endpoint) != 0;
  };
  if (const auto field = std::ranges::find_if(request_fields(), is_named); field != request_fields().end())
    return field->read(value, name, reading);
  if (const auto field = std::ranges::find_if(refused_fields(), is_named); field != refused_fields().end()) {
    const Json neutral = Json::parse(field->neutral, nullptr, false);
    if (std::ranges::find(neutral, value) != neutral.end()) return {};
    if (field->changes == RefusedField::Changes::kNothing) return reading.ignore(name, field->why);
    return refuse_field(name, "{}", field->why);
  }
  return reading.ignore(name, fmt::format("is no field of {}; leave it out", path_of(endpoint)));
}

Checked<std::string> read_parts(const Json& parts, const std::string& where) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string name = fmt::format("{}[{}]", where, i);
    const Json& part = parts[i];
    const auto type = part.is_object() ? part.find("type") : part.end();
    if (!part.is_object() || type == part.end() || !type->is_string())
      return refuse_field(name, "takes {{\"type\": \"text\", \"text\": ...}}, not {}", shown(part));
    if (*type != "text")
      return refuse_field(name + ".type", "is {}; this model takes text only", shown(*type));
    const auto content = part.find("text");
    if (content == part.end()) return refuse_field(name + ".text", "is missing");
    FOLIO_ASK(piece, read_text(*content, name + ".text"));
    text += (i > 0 ? "\n" : "") + piece;
  }
  return text;
}

Checked<std::string> read_content(const Json& message, const std::string& where) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null())
    return refuse_field(where + ".content", "is missing; give a text");
  if (content->is_array()) return read_parts(*content, where + ".content");
  return read_text(*content, where + ".content");
}

Checked<Json> read_message(const Json& message, const std::string& where, Reading& reading) {
  if (!message.is_object())
    return refuse_field(where, "takes an object with role and content, not {}", shown(message));
  const auto role = message.find("role");
  if (role == message.end()) return refuse_field(where + ".role", "is missing");
  FOLIO_ASK(name, read_text(*role, where + ".role"));
  if (name == "tool" || name == "function")
    return refuse_field(where + ".role", "is \"{}\": tools are not supported yet", name);
  if (std::ranges::find(kRoles, name) == std::end(kRoles))
    return refuse_field(where + ".role", "takes \"system\", \"developer\", \"user\" or \"assistant\", not {}",
                        shown(*role));
  for (const auto& [key, value] : message.items()) {
    if (key == "role" || key == "content" || value.is_null()) continue;
    if (key == "name" || key == "refusal" || key == "annotations") {
      if (key != "annotations") FOLIO_ASK_STATUS(read_text(value, where + "." + key));
      continue;
    }
    if (key == "tool_calls" || key == "function_call" || key == "audio") {
      if (value.empty()) continue;
      return refuse_field(where + "." + key, "is not supported yet; leave it out");
    }
    FOLIO_ASK_STATUS(reading.ignore(where + "." + key, "is not known; leave it out"));
  }
  const bool may_be_empty =
      name == "assistant" && (!message.contains("content") || message["content"].is_null());
  std::string content;
  if (!may_be_empty) {
    FOLIO_ASK(given, read_content(message, where));
    content = given;
  }
  Json plain;
  plain["role"] = name == "developer" ? "system" : name;  // the newer name of the same
  plain["content"] = std::move(content);
  if (const auto speaker = message.find("name"); speaker != message.end() && speaker->is_string())
    plain["name"] = *speaker;
  return plain;
}

// A beam search ranks answers by what the model thinks of them: what else would rank them is refused, by
// name.
Checked<void> check_beams(const Request& request) {
  if (!request.use_beam_search) {
    if (request.length_penalty == 1) return {};
    return refuse_field("length_penalty", "is only for answers with \"use_beam_search\": true");
  }
  const sampling::SamplingParams& s = request.sampling;
  if (s.stop_token_ids.size() > engine::kMaxBeamStops)
    return refuse_field("stop_token_ids", "names {} tokens, but a beam search takes at most {}",
                        s.stop_token_ids.size(), engine::kMaxBeamStops);
  const std::pair<std::string_view, bool> given[] = {
      {"temperature", s.temperature != 0},
      {"repetition_penalty", s.repetition_penalty != 1},
      {"frequency_penalty", s.frequency_penalty != 0},
      {"presence_penalty", s.presence_penalty != 0},
      {"logit_bias", !s.logit_bias.empty()},
      {"allowed_token_ids", !s.allowed_token_ids.empty()},
      {"bad_words", !request.bad_words.empty()},
      {"stop", !request.stop.empty()},
  };
  for (const auto& [name, is_given] : given)
    if (is_given)
      return refuse_field(
          name, "is not for beam search, which draws nothing and {}; leave it out",
          name == "stop" ? "takes stop_token_ids only" : "ranks by the model's probabilities");
  return {};
}

}  // namespace

Checked<void> Reading::ignore(std::string_view name, std::string_view why) {
  if (unknown_fields == UnknownFields::kRefuse) return refuse_field(name, "{}", why);
  request.notes.ignore(name);
  return {};
}

Checked<Json> read_messages(const Json& value, std::string_view name, Reading& reading) {
  if (!value.is_array() || value.empty())
    return refuse_field(name, "takes a list of at least one message, not {}", shown(value));
  Json messages = Json::array();
  for (std::size_t i = 0; i < value.size(); ++i) {
    FOLIO_ASK(message, read_message(value[i], fmt::format("{}[{}]", name, i), reading));
    messages.push_back(std::move(message));
  }
  return messages;
}

Checked<Request> parse_request(Endpoint endpoint, std::string_view body, const ReadingRules& rules) {
  FOLIO_ASK(json, parse_json(body));
  return read_request(endpoint, json, rules);
}

Checked<Request> read_request(Endpoint endpoint, const Json& json, const ReadingRules& rules) {
  if (!json.is_object()) return refuse("the body takes a JSON object, not {}", shown(json));
  const auto beams = json.find("use_beam_search");
  const bool draws = beams == json.end() || *beams != true;
  Reading reading{
      .request = {.endpoint = endpoint,
                  .sampling = draws ? rules.sampling : sampling::SamplingParams{.temperature = 0}},
      .unknown_fields = rules.unknown_fields};
  for (const auto& [name, value] : json.items()) FOLIO_ASK_STATUS(read_field(name, value, reading));
  Request request = std::move(reading.request);
  if (reading.max_completion_tokens) request.max_tokens = reading.max_completion_tokens;
  if (endpoint == kChat && request.messages.empty())
    return refuse_field("messages", "is missing; give at least one");
  if (endpoint == kCompletions && request.prompts.empty()) return refuse_field("prompt", "is missing");
  if (endpoint == kEmbeddings && request.prompts.empty()) return refuse_field("input", "is missing");
  if (endpoint == kEmbeddings) request.max_tokens = 0;
  if ((request.include_usage || request.continuous_usage) && !request.stream)
    return refuse_field("stream_options", "is only for answers with \"stream\": true");
  if (request.top_logprobs) {
    if (!request.logprobs && *request.top_logprobs > 0)
      return refuse_field("top_logprobs", "is only for answers with \"logprobs\": true");
    if (request.logprobs) request.logprobs = request.top_logprobs;
  }
  if (request.prompt_logprobs && request.stream)
    return refuse_field("prompt_logprobs", "is only for whole answers; leave \"stream\" out");
  FOLIO_ASK_STATUS(check_beams(request));
  if (request.max_tokens && request.sampling.min_tokens > *request.max_tokens)
    return refuse_field("min_tokens", "is {}, more than max_tokens, which is {}", request.sampling.min_tokens,
                        *request.max_tokens);
  if (endpoint == kCompletions && !request.max_tokens) request.max_tokens = kDefaultCompletionTokens;
  return request;
}

}  // namespace folio::api
