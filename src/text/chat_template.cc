#include "text/chat_template.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "text/fallback_templates.h"
#include "text/rust_values.h"

namespace folio::text {
namespace {

using Json = nlohmann::ordered_json;

struct RustSizes {
  FolioSizes value{nullptr, 0};

  RustSizes() = default;
  RustSizes(const RustSizes&) = delete;
  RustSizes& operator=(const RustSizes&) = delete;
  ~RustSizes() { folio_sizes_free(value); }
};

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::int64_t system_time_s() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

Status check_size(const ChatInput& input) {
  const std::size_t bytes = input.messages_json.size() + input.tools_json.size() +
                            input.documents_json.size() + input.kwargs_json.size();
  if (bytes <= kMaxInputBytes) return {};
  return fail(ErrorKind::kTooLarge, "chat input: {} bytes of messages and tools, the limit is {}", bytes,
              kMaxInputBytes);
}

// The texts of a list of parts, by lines; other parts and other contents stay out of it.
Json joined_parts(const Json& parts) {
  std::string text;
  for (const Json& part : parts) {
    if (!part.is_object() || part.value("type", Json()) != "text" || !part.contains("text")) return parts;
    if (!part["text"].is_string()) return parts;
    if (&part != &parts.front()) text += '\n';
    text += part["text"].get_ref<const std::string&>();
  }
  return text;
}

// The messages with every content of the kind that the template takes. What is no list of messages stays as it is:
// rendering says what is wrong with it.
std::string with_contents(const std::string& messages_json, ContentKind kind) {
  Json messages = Json::parse(messages_json, nullptr, /*allow_exceptions=*/false);
  if (!messages.is_array()) return messages_json;
  bool changed = false;
  for (Json& message : messages) {
    const auto content = message.is_object() ? message.find("content") : message.end();
    if (!message.is_object() || content == message.end()) continue;
    if (kind == ContentKind::kParts && content->is_string()) {
      *content = Json::array({Json{{"type", "text"}, {"text", std::move(*content)}}});
      changed = true;
    } else if (kind == ContentKind::kText && content->is_array() && !content->empty()) {
      *content = joined_parts(*content);
      changed = true;
    }
  }
  return changed ? dump(messages) : messages_json;
}

}  // namespace

std::string to_messages_json(std::span<const ChatMessage> messages) {
  Json list = Json::array();
  for (const ChatMessage& message : messages) {
    list.push_back(Json{{"role", message.role}, {"content", message.content}});
  }
  return dump(list);
}

TemplateTokens template_tokens(const Tokenizer& tokenizer) {
  const auto text = [&](std::optional<TokenId> id) {
    return id ? std::string(tokenizer.token_bytes(*id)) : std::string();
  };
  const TokenizerDescription& description = tokenizer.description();
  return {.bos = text(description.bos),
          .eos = text(description.eos),
          .unk = text(description.unk),
          .pad = text(description.pad)};
}

Result<std::optional<std::string>> chat_template_of_config(std::string_view tokenizer_config_json) {
  const Json config = Json::parse(tokenizer_config_json, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) return fail(ErrorKind::kInvalid, "tokenizer_config.json: not a JSON object");
  const auto at = config.find("chat_template");
  if (at == config.end() || at->is_null()) return std::nullopt;
  if (at->is_string()) return at->get<std::string>();
  const auto wrong = [] {
    return fail(ErrorKind::kInvalid,
                "tokenizer_config.json: chat_template is neither a text nor a list of named ones");
  };
  if (!at->is_array() || at->empty()) return wrong();
  const Json* chosen = nullptr;
  for (const Json& entry : *at) {
    if (!entry.is_object() || !entry.contains("template") || !entry["template"].is_string()) return wrong();
    const bool is_default = entry.contains("name") && entry["name"] == "default";
    if (chosen == nullptr || is_default) chosen = &entry;
  }
  return (*chosen)["template"].get<std::string>();
}

struct ChatTemplate::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { folio_template_free(rust); }

  // Renders; with `mark_for` also fills `breaks`.
  Result<std::string> render(const ChatInput& input, const FolioTokenizer* mark_for, RustSizes& breaks) const;

  FolioTemplate* rust = nullptr;  // null: `problem` is set
  std::optional<Error> problem;
  ContentKind content_kind = ContentKind::kText;
  std::string source;
  std::string stop_text;
  std::string name = "model";
  TemplateTokens tokens;
};

Result<std::string> ChatTemplate::State::render(const ChatInput& input, const FolioTokenizer* mark_for,
                                                RustSizes& breaks) const {
  if (problem) return std::unexpected(*problem);
  FOLIO_TRY_STATUS(check_size(input));
  const std::string variables =
      dump(Json{{"bos_token", tokens.bos},
                {"eos_token", tokens.eos},
                {"unk_token", tokens.unk},
                {"pad_token", tokens.pad},
                {"add_generation_prompt", input.generation_prompt == GenerationPrompt::kAdd}});
  const FolioRender request = {.trusted_json = to_rust(variables),
                               .messages_json = to_rust(input.messages_json),
                               .tools_json = to_rust(input.tools_json),
                               .documents_json = to_rust(input.documents_json),
                               .kwargs_json = to_rust(input.kwargs_json),
                               .mark_for = mark_for,
                               .now_unix_s = input.now_unix_s ? *input.now_unix_s : system_time_s(),
                               .now_is_local = !input.now_unix_s.has_value(),
                               .max_bytes = kMaxRenderedBytes};
  RustBytes text;
  RustBytes error;
  const FolioStatus status = folio_template_render(rust, &request, &text.value, &breaks.value, &error.value);
  if (status != FOLIO_OK) return rust_error(status, error);
  return std::string(text.view());
}

ChatTemplate::ChatTemplate(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::compile(std::string_view source, TemplateTokens tokens) {
  if (source.size() > kMaxTemplateBytes) {
    return fail(ErrorKind::kInvalid, "chat template: {} bytes, the limit is {}", source.size(),
                kMaxTemplateBytes);
  }
  auto state = std::make_unique<State>();
  state->source = source;
  state->tokens = std::move(tokens);
  RustBytes error;
  const FolioStatus status = folio_template_compile(to_rust(source), &state->rust, &error.value);
  if (status != FOLIO_OK) return rust_error(status, error);
  ChatTemplate made(std::move(state));
  made.state_->content_kind = made.probe_content_kind();
  return made;
}

ContentKind ChatTemplate::probe_content_kind() const {
  static constexpr std::string_view kNeedle = "folio-needle";
  const auto shows = [&](const Json& content) {
    const Json messages = Json::array({Json{{"role", "user"}, {"content", content}}});
    const auto text = render({.messages_json = dump(messages), .now_unix_s = 0});
    // A template that writes the list itself out does not walk over it.
    return text && text->contains(kNeedle) && !text->contains("'text'") && !text->contains("\"text\"");
  };
  if (!shows(Json::array({Json{{"type", "text"}, {"text", kNeedle}}}))) return ContentKind::kText;
  return shows(kNeedle) ? ContentKind::kBoth : ContentKind::kParts;
}

ChatTemplate ChatTemplate::unusable(Error problem) {
  auto state = std::make_unique<State>();
  state->name = "unusable";
  problem.message = "the model's chat template cannot be used: " + problem.message;
  state->problem = std::move(problem);
  return ChatTemplate(std::move(state));
}

ChatTemplate ChatTemplate::fallback(const Tokenizer& tokenizer) {
  const auto is_control = [&](std::string_view text) {
    const auto id = tokenizer.find(text);
    return id && tokenizer.is_special(*id);
  };
  const bool has_chatml = is_control("<|im_start|>") && is_control("<|im_end|>");
  TemplateTokens tokens = template_tokens(tokenizer);
  if (!tokenizer.description().adds_bos) tokens.bos.clear();
  auto made = compile(has_chatml ? kChatMlTemplate : kTranscriptTemplate, std::move(tokens));
  FOLIO_CHECK(made.has_value(), "the built-in templates compile");
  made->state_->name = has_chatml ? "chatml (fallback)" : "transcript (fallback)";
  if (!has_chatml) made->state_->stop_text = "\nUser:";
  return std::move(*made);
}

Result<std::string> ChatTemplate::render(const ChatInput& input) const {
  RustSizes no_breaks;
  return state_->render(input, nullptr, no_breaks);
}

Result<EncodedChat> ChatTemplate::encode(const Tokenizer& tokenizer, const ChatInput& given) const {
  RustSizes breaks;
  ChatInput input = given;
  if (content_kind() != ContentKind::kBoth) input.messages_json = with_contents(given.messages_json, content_kind());
  FOLIO_TRY(text, state_->render(input, tokenizer.handle(), breaks));
  FOLIO_TRY(tokens, tokenizer.encode_with_breaks(text, {breaks.value.data, breaks.value.size}));
  return EncodedChat{.tokens = std::move(tokens), .text = std::move(text)};
}

ContentKind ChatTemplate::content_kind() const { return state_->content_kind; }
const std::optional<Error>& ChatTemplate::problem() const { return state_->problem; }
std::string_view ChatTemplate::source() const { return state_->source; }
std::string_view ChatTemplate::name() const { return state_->name; }
std::string_view ChatTemplate::stop_text() const { return state_->stop_text; }

}  // namespace folio::text
