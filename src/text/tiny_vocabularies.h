// Small vocabularies for tests: every byte can be written, a few merges, control and user-defined tokens.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/vocabulary.h"

namespace folio::text::testing {

// Owns the texts that a Vocabulary views.
class TinyVocabulary {
 public:
  Vocabulary vocabulary;

  TinyVocabulary() = default;
  TinyVocabulary(const TinyVocabulary&) = delete;
  TinyVocabulary& operator=(const TinyVocabulary&) = delete;

  std::uint32_t add(std::string text, TokenType type = TokenType::kNormal, float score = 0) {
    vocabulary.tokens.push_back(texts_.emplace_back(std::move(text)));
    vocabulary.token_types.push_back(static_cast<std::int32_t>(type));
    vocabulary.scores.push_back(score);
    return static_cast<std::uint32_t>(vocabulary.tokens.size() - 1);
  }
  void merge(std::string left, std::string right) {
    add(left + right);
    vocabulary.merges.push_back(texts_.emplace_back(left + " " + right));
  }

 private:
  std::deque<std::string> texts_;  // elements never move
};

// The byte-level alphabet's character for a byte, as UTF-8.
inline std::string byte_character(int byte) {
  int code = byte;
  const auto keeps_itself = [](int b) {
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
  };
  if (!keeps_itself(byte)) {
    code = 0x100;
    for (int b = 0; b < byte; ++b) code += !keeps_itself(b);
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// Ids 0-255 are the bytes; then merges for "the", "user", control tokens, one user-defined token.
inline void fill_byte_level(TinyVocabulary& tiny) {
  tiny.vocabulary.model = "gpt2";
  tiny.vocabulary.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) tiny.add(byte_character(byte));
  tiny.merge("t", "h");
  tiny.merge("th", "e");
  tiny.merge("u", "s");
  tiny.merge("e", "r");
  tiny.merge("us", "er");
  tiny.merge("|", ">");
  tiny.vocabulary.bos_id = tiny.add("<|im_start|>", TokenType::kControl);
  tiny.vocabulary.eos_id = tiny.add("<|im_end|>", TokenType::kControl);
  tiny.add("<think>", TokenType::kUserDefined);
  tiny.add("<|user|>", TokenType::kControl);
}

// <unk>, <s>, </s>, the 256 byte tokens, then pieces.
inline void fill_spm(TinyVocabulary& tiny) {
  tiny.vocabulary.model = "llama";
  tiny.vocabulary.pre = "default";
  tiny.vocabulary.unk_id = tiny.add("<unk>", TokenType::kUnknown);
  tiny.vocabulary.bos_id = tiny.add("<s>", TokenType::kControl);
  tiny.vocabulary.eos_id = tiny.add("</s>", TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte) {
    constexpr char kHex[] = "0123456789ABCDEF";
    tiny.add(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">", TokenType::kByte);
  }
  float score = 0;
  for (const char* piece : {"▁", "a", "b", "h", "i", "▁a", "ab", "▁ab", "hi", "▁hi", "<", ">", "s"}) {
    tiny.add(piece, TokenType::kNormal, score -= 1);
  }
}

}  // namespace folio::text::testing
