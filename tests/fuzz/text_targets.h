// What the fuzzers of the text floor do with one input. Shared with src/text/fuzz_corpus_test.cc, which runs the
// committed inputs in every build. The Rust library is not instrumented: what is found are crashes and hangs.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace folio::fuzz {

inline void require_text(bool holds) {
  if (!holds) std::abort();
}

// The text before the first NUL, which goes with it.
inline std::string_view next_part(std::string_view& rest) {
  const std::size_t end = rest.find('\0');
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return part;
}

// A template, NUL, and the kwargs of a request as JSON (none: {}).
inline void template_target(std::string_view input) {
  const std::string_view source = next_part(input);
  const auto made = text::ChatTemplate::compile(source, {.bos = "<s>", .eos = "</s>", .unk = "", .pad = ""});
  if (!made) return require_text(!made.error().message.empty());
  const auto text = made->render(
      {.messages_json = R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "text",
                            "text": "a"}]}])",
       .tools_json = R"([{"type": "function", "function": {"name": "f", "parameters": {"properties": {}}}}])",
       .kwargs_json = std::string(input.empty() ? "{}" : input),
       .now_unix_s = 0});
  require_text(text ? text->size() <= text::kMaxRenderedBytes : !text.error().message.empty());
}

// tokenizer.json, NUL, tokenizer_config.json, NUL, generation_config.json.
inline void tokenizer_target(std::string_view input) {
  const std::string_view tokenizer = next_part(input), config = next_part(input), generation = next_part(input);
  const auto made = text::Tokenizer::from_hf(
      {.tokenizer = tokenizer, .tokenizer_config = config, .generation_config = generation});
  if (!made) return require_text(!made.error().message.empty());
  for (const auto special : {text::SpecialInput::kParse, text::SpecialInput::kAsText}) {
    const auto tokens = made->encode("The <s> user's\n text \xC3\xA9 <|im_end|>", {special, text::AddTokens::kYes});
    if (!tokens) continue;
    for (const TokenId id : *tokens) require_text(raw(id) >= 0);
    (void)made->decode(*tokens, text::SpecialText::kKeep);
  }
}

}  // namespace folio::fuzz
