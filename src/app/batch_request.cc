#include "app/batch_request.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/generate.h"
#include "base/hash.h"
#include "text/utf8.h"
#include "weights/json_text.h"

namespace folio::app {
namespace {

using Json = nlohmann::json;

constexpr const char* kIgnored[] = {"model", "metadata", "store", "stream", "stream_options"};
constexpr const char* kKnown[] = {"messages",
                                  "prompt",
                                  "max_tokens",
                                  "max_completion_tokens",
                                  "temperature",
                                  "top_p",
                                  "top_k",
                                  "min_p",
                                  "n",
                                  "seed",
                                  "stop",
                                  "logprobs",
                                  "top_logprobs",
                                  "logit_bias",
                                  "frequency_penalty",
                                  "presence_penalty",
                                  "repetition_penalty",
                                  "min_tokens",
                                  "stop_token_ids",
                                  "ignore_eos",
                                  "bad_words",
                                  "cache_salt",
                                  "allowed_token_ids",
                                  "prompt_logprobs",
                                  "priority",
                                  "user",
                                  "tools",
                                  "chat_template_kwargs"};

// Reads the fields of one body; the first mistake is kept, and everything after it skipped.
class Body {
 public:
  explicit Body(const Json& body) : body_(body) {}

  const Status& status() const { return status_; }
  const Json* find(const char* name) const {
    const auto at = body_.find(name);
    return at == body_.end() || at->is_null() ? nullptr : &*at;
  }
  void wrong(std::string_view name, std::string_view wanted) {
    if (status_) status_ = fail(ErrorKind::kInvalid, "'{}' must be {}", name, wanted);
  }

  void number(const char* name, float& target) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_number()) return wrong(name, "a number");
    target = value->get<float>();
  }
  // A whole number from `least` to `most`.
  template <typename T>
  bool whole(const char* name, T& target, std::int64_t least, std::int64_t most) {
    const Json* value = find(name);
    if (value == nullptr) return false;
    const bool fits =
        value->is_number_integer() &&
        (!value->is_number_unsigned() || value->get<std::uint64_t>() <= static_cast<std::uint64_t>(most));
    if (!fits || value->get<std::int64_t>() < least || value->get<std::int64_t>() > most) {
      wrong(name, fmt::format("a whole number from {} to {}", least, most));
      return false;
    }
    target = static_cast<T>(value->get<std::int64_t>());
    return true;
  }
  bool yes(const char* name) {
    const Json* value = find(name);
    if (value == nullptr) return false;
    if (!value->is_boolean()) wrong(name, "true or false");
    return value->is_boolean() && value->get<bool>();
  }
  void text(const char* name, std::string& target) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_string()) return wrong(name, "a text");
    target = value->get<std::string>();
  }
  void texts(const char* name, std::vector<std::string>& target) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (value->is_string()) return target.push_back(value->get<std::string>());
    if (!value->is_array() || !std::ranges::all_of(*value, [](const Json& j) { return j.is_string(); }))
      return wrong(name, "a text or a list of texts");
    for (const Json& entry : *value) target.push_back(entry.get<std::string>());
  }
  void tokens(const char* name, const Json& value, std::vector<TokenId>& target) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    const auto is_token = [](const Json& j) {
      return j.is_number_unsigned() && j.get<std::uint64_t>() <= static_cast<std::uint64_t>(kMost);
    };
    if (!value.is_array() || !std::ranges::all_of(value, is_token)) return wrong(name, "a list of token ids");
    for (const Json& entry : value) target.push_back(static_cast<TokenId>(entry.get<std::int32_t>()));
  }
  void tokens(const char* name, std::vector<TokenId>& target) {
    if (const Json* value = find(name)) tokens(name, *value, target);
  }

 private:
  const Json& body_;
  Status status_;
};

Status check_fields(const Json& body) {
  for (const auto& [name, value] : body.items())
    if (std::ranges::find(kKnown, name) == std::end(kKnown) &&
        std::ranges::find(kIgnored, name) == std::end(kIgnored))
      return fail(ErrorKind::kUnsupported, "'{}' is no field that folio knows; leave it out", name);
  return {};
}

void read_logit_bias(Body& body, sampling::SamplingParams& params) {
  const Json* biases = body.find("logit_bias");
  if (biases == nullptr) return;
  if (!biases->is_object()) return body.wrong("logit_bias", "an object from token ids to numbers");
  for (const auto& [name, value] : biases->items()) {
    std::int32_t token = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), token);
    if (error != std::errc() || end != name.data() + name.size() || !value.is_number())
      return body.wrong("logit_bias", "an object from token ids to numbers");
    params.logit_bias.push_back({.token = TokenId{token}, .bias = value.get<float>()});
  }
}

// Each word as it is, and as it stands behind a space: another token, as a rule.
void read_bad_words(Body& body, const engine::Engine& engine, sampling::SamplingParams& params) {
  std::vector<std::string> words;
  body.texts("bad_words", words);
  for (const std::string& word : words)
    for (const std::string& spelled : {word, " " + word}) {
      auto tokens = engine.tokenizer().encode(spelled);
      if (!tokens) return body.wrong("bad_words", "texts that the model's tokenizer can encode");
      params.bad_words.push_back(std::move(*tokens));
    }
}

void read_sampling(Body& body, const engine::Engine& engine, engine::GenerationRequest& request) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  sampling::SamplingParams& params = request.sampling;
  body.number("temperature", params.temperature);
  body.number("top_p", params.top_p);
  body.number("min_p", params.min_p);
  body.number("frequency_penalty", params.frequency_penalty);
  body.number("presence_penalty", params.presence_penalty);
  body.number("repetition_penalty", params.repetition_penalty);
  body.whole("top_k", params.top_k, -1, kMost);
  body.whole("min_tokens", params.min_tokens, 0, kMost);
  const bool seeded = body.whole("seed", params.seed, std::numeric_limits<std::int64_t>::min(),
                                 std::numeric_limits<std::int64_t>::max());
  request.seed = seeded ? engine::Seed::kGiven : engine::Seed::kDraw;
  body.tokens("stop_token_ids", params.stop_token_ids);
  body.tokens("allowed_token_ids", params.allowed_token_ids);
  read_logit_bias(body, params);
  read_bad_words(body, engine, params);
}

void read_limits(Body& body, BatchEndpoint endpoint, engine::GenerationRequest& request) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  body.whole("max_tokens", request.max_tokens, 1, kMost);
  body.whole("max_completion_tokens", request.max_tokens, 1, kMost);
  body.whole("n", request.choices, 1, kMost);
  body.whole("priority", request.priority, -kMost, kMost);
  body.texts("stop", request.stop);
  body.text("cache_salt", request.cache_salt);
  std::string user;
  body.text("user", user);
  if (!user.empty()) request.tenant = hash128({std::as_bytes(std::span(user))}).low;  // see --fair-users
  if (body.yes("ignore_eos")) request.end_tokens = engine::EndTokens::kIgnore;
  std::uint32_t count = 0;
  if (endpoint == BatchEndpoint::kChat) {
    body.whole("top_logprobs", count, 0, engine::kMaxLogprobs);
    if (body.yes("logprobs")) request.logprobs = count;
  } else if (body.whole("logprobs", count, 0, engine::kMaxLogprobs)) {
    request.logprobs = count;
  }
  if (body.whole("prompt_logprobs", count, 0, engine::kMaxLogprobs)) request.prompt_logprobs = count;
}

Status read_messages(Body& body, const engine::Engine& engine, engine::GenerationRequest& request) {
  const Json* messages = body.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty())
    return fail(ErrorKind::kInvalid, "'messages' must be a list of messages");
  text::ChatInput input{.messages_json = messages->dump()};
  if (const Json* tools = body.find("tools")) input.tools_json = tools->dump();
  if (const Json* kwargs = body.find("chat_template_kwargs")) input.kwargs_json = kwargs->dump();
  FOLIO_TRY(encoded, engine.chat_template().encode(engine.tokenizer(), input));
  request.prompt = std::move(encoded.tokens);
  request.stop = stop_texts(engine, std::move(request.stop));
  return {};
}

Status read_prompt(Body& body, const engine::Engine& engine, engine::GenerationRequest& request) {
  const Json* prompt = body.find("prompt");
  if (prompt != nullptr && prompt->is_array()) {
    body.tokens("prompt", *prompt, request.prompt);
    return body.status();
  }
  if (prompt == nullptr || !prompt->is_string())
    return fail(ErrorKind::kInvalid, "'prompt' must be a text or a list of token ids");
  FOLIO_TRY(tokens,
            engine.tokenizer().encode(prompt->get<std::string>(),
                                      {.special = text::SpecialInput::kParse, .add = text::AddTokens::kYes}));
  request.prompt = std::move(tokens);
  if (!prompt->get_ref<const std::string&>().empty()) request.text_start = text::TextStart::kContinued;
  return {};
}

Status read_body(const Json& json, const engine::Engine& engine, BatchRequest& batch) {
  FOLIO_TRY_STATUS(check_fields(json));
  Body body(json);
  body.text("model", batch.model);
  read_sampling(body, engine, batch.request);
  read_limits(body, batch.endpoint, batch.request);
  FOLIO_TRY_STATUS(body.status());
  return batch.endpoint == BatchEndpoint::kChat ? read_messages(body, engine, batch.request)
                                                : read_prompt(body, engine, batch.request);
}

std::string text_of(const Json& json, const char* name) {
  const auto at = json.find(name);
  return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

std::expected<BatchRequest, BatchRefusal> read_batch_line(std::string_view line, const engine::Engine& engine,
                                                          const sampling::SamplingParams& defaults) {
  const auto refuse = [](std::string id, std::string code, std::string message) {
    return std::unexpected(BatchRefusal{std::move(id), std::move(code), std::move(message)});
  };
  if (text::first_invalid_utf8(line)) return refuse("", "invalid_json", "the line is not valid UTF-8");
  const auto parsed = weights::parse_json(line, "the line");  // bounded in depth, which dump() needs
  if (!parsed) return refuse("", "invalid_json", parsed.error().message);
  const Json& json = *parsed;
  if (!json.is_object()) return refuse("", "invalid_json", "the line is not a JSON object");
  BatchRequest batch;
  batch.custom_id = text_of(json, "custom_id");
  batch.request.sampling = defaults;
  if (batch.custom_id.empty()) return refuse("", "missing_custom_id", "the line has no 'custom_id'");
  const std::string url = text_of(json, "url");
  if (text_of(json, "method") != "POST" || (url != "/v1/chat/completions" && url != "/v1/completions"))
    return refuse(batch.custom_id, "invalid_url",
                  "'method' and 'url' must be POST and /v1/chat/completions or /v1/completions");
  batch.endpoint = url == "/v1/completions" ? BatchEndpoint::kCompletion : BatchEndpoint::kChat;
  const auto body = json.find("body");
  if (body == json.end() || !body->is_object())
    return refuse(batch.custom_id, "invalid_request", "'body' must be an object");
  const Status status = read_body(*body, engine, batch);
  if (!status) return refuse(batch.custom_id, "invalid_request", status.error().message);
  return batch;
}

}  // namespace folio::app
