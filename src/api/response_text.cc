#include "api/response_text.h"

namespace folio::api {
namespace {

Json ids_json(const std::vector<TokenId>& ids) {
  Json list = Json::array();
  for (const TokenId id : ids) list.push_back(raw(id));
  return list;
}

Json head_json(const ResponseHead& head, std::string_view object) {
  Json json;
  json["id"] = head.id;
  json["object"] = object;
  json["created"] = head.created_s;
  json["model"] = head.model;
  if (head.seed) json["seed"] = *head.seed;
  if (!head.notes.empty()) json["folio"] = head.notes.to_json();
  return json;
}

void add_ids(Json& choice, const ChoiceText& from) {
  if (from.token_ids) choice["token_ids"] = ids_json(*from.token_ids);
  if (from.prompt_token_ids) choice["prompt_token_ids"] = ids_json(*from.prompt_token_ids);
}

Json finish_json(const ChoiceText& choice) {
  return choice.finish_reason ? Json(*choice.finish_reason) : Json(nullptr);
}

Json chat_piece(const ChoiceText& choice, Piece piece) {
  Json delta = Json::object();
  if (piece == Piece::kFirst) delta["role"] = "assistant";
  if (piece == Piece::kFirst || !choice.text.empty()) delta["content"] = choice.text;
  return {{"index", choice.index},
          {"delta", delta},
          {"logprobs", choice.logprobs},
          {"finish_reason", finish_json(choice)}};
}

Json completion_choice(const ChoiceText& choice) {
  return {{"index", choice.index},
          {"text", choice.text},
          {"logprobs", choice.logprobs},
          {"finish_reason", finish_json(choice)}};
}

Json chat_choice(const ChoiceText& choice) {
  const Json message = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
  return {{"index", choice.index},
          {"message", message},
          {"logprobs", choice.logprobs},
          {"finish_reason", finish_json(choice)}};
}

const char* stream_object(const ResponseHead& head) {
  return head.endpoint == kChat ? "chat.completion.chunk" : "text_completion";
}

}  // namespace

Json usage_json(const Usage& usage, CachedTokens cached_tokens) {
  Json json = {{"prompt_tokens", usage.prompt_tokens},
               {"completion_tokens", usage.completion_tokens},
               {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
  if (cached_tokens == CachedTokens::kShow)
    json["prompt_tokens_details"] = {{"cached_tokens", usage.cached_tokens}};
  return json;
}

std::string whole_response(const ResponseHead& head, std::span<const ChoiceText> choices,
                           const Usage& usage) {
  const bool chat = head.endpoint == kChat;
  Json json = head_json(head, chat ? "chat.completion" : "text_completion");
  json["choices"] = Json::array();
  for (const ChoiceText& choice : choices) {
    Json made = chat ? chat_choice(choice) : completion_choice(choice);
    add_ids(made, choice);
    if (!choice.prompt_logprobs.is_null()) (chat ? json : made)["prompt_logprobs"] = choice.prompt_logprobs;
    json["choices"].push_back(std::move(made));
  }
  json["usage"] = usage_json(usage, head.cached_tokens);
  return to_text(json);
}

// The vectors are most of it, and text already.
std::string embedding_response(const ResponseHead& head, std::span<const std::string> entries,
                               const Usage& usage) {
  Json json = head_json(head, "list");
  Json used = usage_json(usage, head.cached_tokens);
  used.erase("completion_tokens");
  json["usage"] = std::move(used);
  std::string text = to_text(json);
  text.back() = ',';  // the closing brace, which comes back at the end
  text += "\"data\":[";
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) text += ',';
    text += entries[i];
  }
  return text + "]}";
}

std::string stream_piece(const ResponseHead& head, const ChoiceText& choice, Piece piece,
                         const std::optional<Usage>* usage) {
  Json json = head_json(head, stream_object(head));
  Json made = head.endpoint == kChat ? chat_piece(choice, piece) : completion_choice(choice);
  add_ids(made, choice);
  json["choices"] = Json::array({std::move(made)});
  if (usage != nullptr) json["usage"] = *usage ? usage_json(**usage, head.cached_tokens) : Json(nullptr);
  return stream_event(to_text(json));
}

std::string stream_usage(const ResponseHead& head, const Usage& usage) {
  Json json = head_json(head, stream_object(head));
  json["choices"] = Json::array();
  json["usage"] = usage_json(usage, head.cached_tokens);
  return stream_event(to_text(json));
}

std::string stream_event(std::string_view json) { return fmt::format("data: {}\n\n", json); }

}  // namespace folio::api
