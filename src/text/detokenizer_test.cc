#include "text/detokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "text/tiny_vocabularies.h"
#include "text/utf8.h"

namespace folio::text {
namespace {

using testing::fill_byte_level;
using testing::fill_spm;
using testing::TinyVocabulary;

Tokenizer make(void (*fill)(TinyVocabulary&)) {
  TinyVocabulary tiny;
  fill(tiny);
  return Tokenizer::from_vocabulary(tiny.vocabulary).value();
}

// Streams, checks that every piece is whole characters, and returns the text.
std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens, SpecialText special) {
  Detokenizer detokenizer(tokenizer, special);
  std::string text;
  for (const TokenId token : tokens) {
    const std::string piece = detokenizer.push(token);
    EXPECT_EQ(first_invalid_utf8(piece), std::nullopt);
    text += piece;
  }
  return text + detokenizer.flush();
}

TEST(Detokenizer, HoldsAnUnfinishedCharacterBack) {
  const Tokenizer tokenizer = make(fill_byte_level);
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.push(TokenId{0xE2}), "");
  EXPECT_EQ(detokenizer.push(TokenId{0x82}), "");
  EXPECT_EQ(detokenizer.push(TokenId{0xAC}), "€");
  EXPECT_EQ(detokenizer.push(TokenId{0xF0}), "");
  EXPECT_EQ(detokenizer.push(TokenId{'a'}), "\uFFFDa");
  EXPECT_EQ(detokenizer.push(TokenId{0xC3}), "");
  EXPECT_EQ(detokenizer.flush(), "\uFFFD");
  EXPECT_EQ(detokenizer.flush(), "");
}

TEST(Detokenizer, DropsSpmsPrefixBlankOnce) {
  const Tokenizer tokenizer = make(fill_spm);
  Detokenizer detokenizer(tokenizer);
  const TokenId hi = *tokenizer.find("▁hi");
  EXPECT_EQ(detokenizer.push(*tokenizer.bos()), "");  // skipped: not the start of the text
  EXPECT_EQ(detokenizer.push(hi), "hi");
  EXPECT_EQ(detokenizer.push(hi), " hi");
  EXPECT_EQ(detokenizer.flush(), "");
  EXPECT_EQ(detokenizer.push(hi), "hi");
}

TEST(Detokenizer, TextThatGoesOnKeepsItsBlank) {
  const Tokenizer tokenizer = make(fill_spm);
  Detokenizer detokenizer(tokenizer, SpecialText::kSkip, TextStart::kContinued);
  EXPECT_EQ(detokenizer.push(*tokenizer.find("▁hi")), " hi");
}

RC_GTEST_PROP(Detokenizer, EqualsDecodingAtOnce, ()) {
  static const Tokenizer tokenizers[] = {make(fill_byte_level), make(fill_spm)};
  for (const Tokenizer& tokenizer : tokenizers) {
    const auto id = rc::gen::inRange(-2, static_cast<int>(tokenizer.vocab_size()) + 2);
    std::vector<TokenId> tokens;
    std::string bytes;  // what the ids stand for, without any detokenizer
    for (const int number : *rc::gen::container<std::vector<int>>(id)) {
      tokens.push_back(TokenId{number});
      bytes += tokenizer.token_bytes(TokenId{number});
    }
    RC_ASSERT(streamed(tokenizer, tokens, SpecialText::kKeep) ==
              tokenizer.decode(tokens, SpecialText::kKeep));
    RC_ASSERT(streamed(tokenizer, tokens, SpecialText::kSkip) ==
              tokenizer.decode(tokens, SpecialText::kSkip));
    if (tokenizer.strips_leading_blank() && bytes.starts_with(' ')) bytes.erase(0, 1);
    if (!first_invalid_utf8(bytes)) RC_ASSERT(tokenizer.decode(tokens, SpecialText::kKeep) == bytes);
  }
}

TEST(Detokenizer, AllScriptsOfTheDeclaration) {
  const char* shared = std::getenv("FOLIO_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "FOLIO_SHARED is not set: data/text/udhr.jsonl was not run";
  std::ifstream file(std::string(shared) + "/data/text/udhr.jsonl");
  ASSERT_TRUE(file.is_open());
  const Tokenizer byte_level = make(fill_byte_level);
  const Tokenizer spm = make(fill_spm);
  std::string line;
  int languages = 0;
  for (; std::getline(file, line); ++languages) {
    const std::string text = nlohmann::json::parse(line).at("text").get<std::string>();
    for (const Tokenizer* tokenizer : {&byte_level, &spm}) {
      const auto tokens = tokenizer->encode(text);
      ASSERT_TRUE(tokens.has_value());
      EXPECT_EQ(streamed(*tokenizer, *tokens, SpecialText::kSkip), text) << line.substr(0, 40);
    }
  }
  EXPECT_GT(languages, 10);
}

}  // namespace
}  // namespace folio::text
