#include "server/logprobs_json.h"

#include <algorithm>

namespace folio::server {
namespace {

constexpr float kLeast = -9999.0F;  // JSON has no minus infinity

// The text of a control token is its name.
std::string text_of(const text::Tokenizer& tokenizer, TokenId token) {
  const std::string_view bytes = tokenizer.token_bytes(token);
  return bytes.empty() ? tokenizer.decode(std::span(&token, 1), text::SpecialText::kKeep)
                       : std::string(bytes);
}

double number_of(const sampling::TokenLogprob& token) { return std::max(kLeast, token.logprob); }

Json entry(const text::Tokenizer& tokenizer, const sampling::TokenLogprob& token) {
  const std::string text = text_of(tokenizer, token.token);
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", text}, {"logprob", number_of(token)}, {"bytes", std::move(bytes)}};
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Json chat_logprobs(const text::Tokenizer& tokenizer, std::span<const sampling::Logprobs> logprobs) {
  Json content = Json::array();
  for (const sampling::Logprobs& position : logprobs) {
    Json made = entry(tokenizer, position.chosen);
    made["top_logprobs"] = Json::array();
    for (const sampling::TokenLogprob& token : position.top)
      made["top_logprobs"].push_back(entry(tokenizer, token));
    content.push_back(std::move(made));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace

Json logprobs_json(Endpoint endpoint, const text::Tokenizer& tokenizer,
                   std::span<const sampling::Logprobs> logprobs, std::size_t& offset) {
  if (endpoint == kChat) return chat_logprobs(tokenizer, logprobs);
  Json json = {{"tokens", Json::array()},
               {"token_logprobs", Json::array()},
               {"top_logprobs", Json::array()},
               {"text_offset", Json::array()}};
  for (const sampling::Logprobs& position : logprobs) {
    const std::string text = text_of(tokenizer, position.chosen.token);
    json["tokens"].push_back(text);
    json["token_logprobs"].push_back(number_of(position.chosen));
    Json top = Json::object();
    for (const sampling::TokenLogprob& token : position.top)
      top[text_of(tokenizer, token.token)] = number_of(token);
    top[text] = number_of(position.chosen);  // the chosen one is always among them
    json["top_logprobs"].push_back(std::move(top));
    json["text_offset"].push_back(offset);
    offset += characters(text);
  }
  return json;
}

}  // namespace folio::server
