// ChatTemplate: a model's Jinja template, rendered as the transformers library renders it (trim_blocks,
// lstrip_blocks, loop controls, `generation` blocks, tojson, raise_exception, strftime_now, Python's string
// and dict methods).
//
// Ownership: a move-only handle over an object of the Rust library. Threads: const methods from any thread.
// Limits: the sizes below, the tokens of one tag, and for one rendering a number of template instructions, of
// bytes of text, lists and maps in all (one text: 4 MiB + 8 times the input), 300 levels of lists and maps, and 10 s, so
// that a hostile template ends with an error; it neither hangs nor fills the memory or the stack. Cost: some 0.2 ms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "text/tokenizer.h"

struct FolioTemplate;  // rust/folio_rust.h

namespace folio::text {

inline constexpr std::size_t kMaxTemplateBytes = 1u << 20;
inline constexpr std::size_t kMaxInputBytes = 64u << 20;  // messages, tools, documents and kwargs together
inline constexpr std::size_t kMaxRenderedBytes = 128u << 20;

struct ChatMessage {
  std::string role;     // "system", "user", "assistant", ...
  std::string content;  // valid UTF-8
};
// The JSON array that ChatInput::messages_json wants.
[[nodiscard]] std::string to_messages_json(std::span<const ChatMessage> messages);

enum class GenerationPrompt { kAdd, kOmit };

// What a template sees. Every text is JSON; an empty text is null (for kwargs: no variables).
struct ChatInput {
  std::string messages_json = {};  // array of messages as in the OpenAI API
  std::string tools_json = {};     // array of tools
  std::string documents_json = {};
  std::string kwargs_json =
      {};  // object: further variables (enable_thinking, ...); wins over all below but messages
  GenerationPrompt generation_prompt = GenerationPrompt::kAdd;
  // Seconds since 1970 for strftime_now; UTC. Unset: the system's clock, in its local time zone.
  std::optional<std::int64_t> now_unix_s = {};
};

// Texts of the model's own tokens, which templates name. Empty: the variable is "".
struct TemplateTokens {
  std::string bos, eos, unk, pad;
};

[[nodiscard]] TemplateTokens template_tokens(const Tokenizer& tokenizer);

// The `chat_template` of a tokenizer_config.json: a text, or a list of named ones of which "default" is taken
// (without one the first). nullopt: the file has none. kInvalid: it is not what it should be.
[[nodiscard]] Result<std::optional<std::string>> chat_template_of_config(
    std::string_view tokenizer_config_json);

// What a template takes as a message's content; found by rendering a message of each kind at compile().
// kText: a list of parts is joined to one text, by line ends. kParts: a text is wrapped as [{"type": "text", "text":
// ...}]. kBoth: as it is given.
enum class ContentKind { kText, kParts, kBoth };

struct EncodedChat {
  std::vector<TokenId> tokens;
  std::string text;  // the rendered conversation, for display
};

class ChatTemplate {
 public:
  // kInvalid: the source has a syntax error (message names the line) or is longer than kMaxTemplateBytes.
  [[nodiscard]] static Result<ChatTemplate> compile(std::string_view source, TemplateTokens tokens);

  // For a model without a template: ChatML when the vocabulary has <|im_start|> and <|im_end|>, else a plain
  // transcript ("User: ...", "Assistant: ..." in paragraphs). name() says which.
  [[nodiscard]] static ChatTemplate fallback(const Tokenizer& tokenizer);

  // In the place of a template that does not compile: every render() and encode() gives `problem`.
  [[nodiscard]] static ChatTemplate unusable(Error problem);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // kInvalid with exactly the template's message: the template refused the conversation (raise_exception).
  // kInvalid "chat input: ...": a text of the input is not the JSON it should be. kUnsupported "chat
  // template: ...": the template failed (missing element, unknown method). kTooLarge: one of the limits.
  [[nodiscard]] Result<std::string> render(const ChatInput& input) const;

  // As render() with contents as the template wants them (see ContentKind), and tokenised as one whole, with one exception: the text of a control token that comes out of the
  // input (messages, tools, documents, kwargs) - whole, or put together from several values - is text, never
  // the token. While this renders, such text carries a private marker, so a template that looks for control
  // tokens inside a message does not find them. Nothing is added around the text: a template writes its own
  // BOS.
  [[nodiscard]] Result<EncodedChat> encode(const Tokenizer& tokenizer, const ChatInput& input) const;

  [[nodiscard]] ContentKind content_kind() const;
  [[nodiscard]] const std::optional<Error>& problem() const;  // set: unusable
  [[nodiscard]] std::string_view source() const;
  // "model", "chatml (fallback)", "transcript (fallback)", "unusable"
  [[nodiscard]] std::string_view name() const;
  // Ends an answer where no control token does: after a transcript the model goes on with the next speaker.
  // Empty for the others.
  [[nodiscard]] std::string_view stop_text() const;

 private:
  struct State;
  explicit ChatTemplate(std::unique_ptr<State> state);
  [[nodiscard]] ContentKind probe_content_kind() const;

  std::unique_ptr<State> state_;
};

}  // namespace folio::text
