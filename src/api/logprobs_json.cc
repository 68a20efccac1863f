#include "api/logprobs_json.h"

#include <algorithm>
#include <string>

#include "text/utf8.h"

namespace folio::api {
namespace {

using sampling::TokenLogprob;

constexpr float kLeast = -9999.0F;  // JSON has no minus infinity

// The text of a control token is its name.
std::string text_of(const text::Tokenizer& tokenizer, TokenId token) {
  const std::string_view bytes = tokenizer.token_bytes(token);
  return bytes.empty() ? tokenizer.decode(std::span(&token, 1), text::SpecialText::kKeep)
                       : std::string(bytes);
}

std::string id_name(TokenId token) { return fmt::format("token_id:{}", raw(token)); }

// Bytes that are no whole characters are spelled out, as OpenAI did: "bytes:\\xf0\\x9f".
std::string name_of(const TokenNaming& naming, TokenId token) {
  if (naming.names == TokenNames::kIds) return id_name(token);
  std::string text = text_of(naming.tokenizer, token);
  if (!text::first_invalid_utf8(text)) return text;
  std::string bytes = "bytes:";
  for (const char c : text) bytes += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return bytes;
}

// Of the answer's text; control tokens are no part of it.
std::size_t characters_of(const TokenNaming& naming, TokenId token) {
  return naming.tokenizer.is_special(token) ? 0 : characters(text_of(naming.tokenizer, token));
}

double number_of(const TokenLogprob& token) { return std::max(kLeast, token.logprob); }

std::span<const TokenLogprob> first_of(const std::vector<TokenLogprob>& top, std::size_t count) {
  return std::span(top).first(std::min(count, top.size()));
}

Json entry(const TokenNaming& naming, const TokenLogprob& token) {
  Json bytes = Json::array();
  for (const char c : text_of(naming.tokenizer, token.token)) bytes.push_back(static_cast<unsigned char>(c));
  return {
      {"token", name_of(naming, token.token)}, {"logprob", number_of(token)}, {"bytes", std::move(bytes)}};
}

Json chat_logprobs(const TokenNaming& naming, std::span<const sampling::Logprobs> logprobs) {
  Json content = Json::array();
  for (const sampling::Logprobs& position : logprobs) {
    Json made = entry(naming, position.chosen);
    made["top_logprobs"] = Json::array();
    for (const TokenLogprob& token : position.top) made["top_logprobs"].push_back(entry(naming, token));
    content.push_back(std::move(made));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json no_completion_logprobs() {
  return {{"tokens", Json::array()},
          {"token_logprobs", Json::array()},
          {"top_logprobs", Json::array()},
          {"text_offset", Json::array()}};
}

void add_position(Json& json, const TokenNaming& naming, const sampling::Logprobs& position,
                  std::size_t top_count, std::size_t offset) {
  const std::string name = name_of(naming, position.chosen.token);
  json["tokens"].push_back(name);
  json["token_logprobs"].push_back(number_of(position.chosen));
  Json top = Json::object();
  for (const TokenLogprob& token : first_of(position.top, top_count)) {
    if (token.token == position.chosen.token) {
      top[name] = number_of(token);
      continue;
    }
    // Two tokens may have one text: the name is the chosen one's, then the likelier one's.
    std::string key = name_of(naming, token.token);
    if (key == name || top.contains(key)) key = id_name(token.token);
    top[std::move(key)] = number_of(token);
  }
  top[name] = number_of(position.chosen);  // the chosen one is always among them
  json["top_logprobs"].push_back(std::move(top));
  json["text_offset"].push_back(offset);
}

// Where each of a prompt's tokens begins in its text. Some tokenizers put a space before the text that is not
// shown: the first token of the text is the shorter by it.
std::vector<std::size_t> offsets_of(const TokenNaming& naming, const PromptLogprobs& prompt) {
  std::vector<std::size_t> lengths, offsets;
  std::size_t all = 0;
  for (const TokenId token : prompt.tokens) all += lengths.emplace_back(characters_of(naming, token));
  const std::size_t shown = characters(prompt.text);
  std::size_t unseen = all > shown ? all - shown : 0, at = 0;
  for (const std::size_t length : lengths) {
    offsets.push_back(at);
    const std::size_t cut = std::min(unseen, length);
    unseen -= cut;
    at += length - cut;
  }
  return offsets;
}

}  // namespace

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Json logprobs_json(Endpoint endpoint, const TokenNaming& naming, std::span<const sampling::Logprobs> logprobs,
                   std::size_t& offset) {
  if (endpoint == kChat) return chat_logprobs(naming, logprobs);
  Json json = no_completion_logprobs();
  for (const sampling::Logprobs& position : logprobs) {
    add_position(json, naming, position, position.top.size(), offset);
    offset += characters_of(naming, position.chosen.token);
  }
  return json;
}

Json echoed_logprobs(const TokenNaming& naming, const PromptLogprobs& prompt) {
  Json json = no_completion_logprobs();
  if (prompt.tokens.empty()) return json;
  const std::vector<std::size_t> offsets = offsets_of(naming, prompt);
  json["tokens"].push_back(name_of(naming, prompt.tokens.front()));
  json["token_logprobs"].push_back(nullptr);
  json["top_logprobs"].push_back(nullptr);
  json["text_offset"].push_back(offsets.front());
  for (std::size_t i = 0; i < prompt.logprobs.size(); ++i)
    add_position(json, naming, prompt.logprobs[i], prompt.top, offsets[i + 1]);
  return json;
}

void append_logprobs(Json& logprobs, const Json& more) {
  for (const auto& [key, list] : more.items())
    for (const Json& value : list) logprobs[key].push_back(value);
}

Json prompt_logprobs_json(const TokenNaming& naming, const PromptLogprobs& prompt) {
  Json json = Json::array({nullptr});
  const auto add = [&](Json& position, const TokenLogprob& token, std::size_t rank) {
    position[std::to_string(raw(token.token))] = {{"logprob", number_of(token)},
                                                  {"rank", rank},
                                                  {"decoded_token", text_of(naming.tokenizer, token.token)}};
  };
  for (const sampling::Logprobs& logprobs : prompt.logprobs) {
    Json position = Json::object();
    add(position, logprobs.chosen, logprobs.chosen_rank);
    const auto top = first_of(logprobs.top, prompt.top);
    for (std::size_t i = 0; i < top.size(); ++i)
      if (top[i].token != logprobs.chosen.token) add(position, top[i], i + 1);
    json.push_back(std::move(position));
  }
  return json;
}

}  // namespace folio::api
