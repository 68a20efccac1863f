#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "text/tokenizer.h"

namespace folio::text {
namespace {

using ::testing::HasSubstr;

// A BPE of llama's shape: prefix blank, byte tokens, BOS by the post-processor.
constexpr std::string_view kLlamaLike = R"({
  "added_tokens": [
    {"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 9, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
  "normalizer": {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
  "pre_tokenizer": null,
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
  "decoder": {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
  "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": false,
    "vocab": {"<unk>": 0, "<s>": 1, "▁": 2, "a": 3, "b": 4, "▁a": 5, "ab": 6, "▁ab": 7},
    "merges": ["▁ a", "a b", "▁a b"]}
})";

std::vector<int> numbers(const std::vector<TokenId>& tokens) {
  std::vector<int> out;
  for (const TokenId id : tokens) out.push_back(raw(id));
  return out;
}

std::vector<int> numbers(const Result<std::vector<TokenId>>& tokens) {
  EXPECT_TRUE(tokens.has_value()) << (tokens ? "" : tokens.error().message);
  std::vector<int> out;
  if (tokens) {
    for (const TokenId id : *tokens) out.push_back(raw(id));
  }
  return out;
}

Tokenizer make(std::string_view config = "", std::string_view generation = "") {
  auto made = Tokenizer::from_hf(
      {.tokenizer = kLlamaLike, .tokenizer_config = config, .generation_config = generation});
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  return std::move(*made);
}

std::string error_of(std::string_view json, std::string_view config = "", std::string_view generation = "") {
  const auto made = Tokenizer::from_hf(
      {.tokenizer = json, .tokenizer_config = config, .generation_config = generation});
  return made ? "none" : made.error().message;
}

TEST(HuggingFace, EncodesAndDecodes) {
  const Tokenizer tokenizer = make();
  EXPECT_EQ(numbers(tokenizer.encode("ab a")), (std::vector{7, 5}));
  EXPECT_EQ(numbers(tokenizer.encode("ab", {.add = AddTokens::kYes})), (std::vector{1, 7}));
  EXPECT_EQ(numbers(tokenizer.encode("ab<end>b", {.special = SpecialInput::kParse})),
            (std::vector{7, 9, 2, 4}));
  EXPECT_EQ(numbers(tokenizer.encode("xyz")), (std::vector{2, 0}));  // unknown characters are one token
  EXPECT_EQ(tokenizer.decode(std::vector{TokenId{7}, TokenId{5}, TokenId{9}}, SpecialText::kKeep),
            "ab a<end>");
  EXPECT_EQ(tokenizer.decode(std::vector{TokenId{1}, TokenId{7}, TokenId{9}}, SpecialText::kSkip), "ab");
  EXPECT_EQ(tokenizer.vocab_size(), 10u);
  EXPECT_EQ(tokenizer.token_bytes(TokenId{8}), "");  // a hole in the ids
}

TEST(HuggingFace, TheConfigNamesSpecialTokens) {
  const Tokenizer tokenizer =
      make(R"({"bos_token": {"content": "<s>"}, "eos_token": "<end>", "pad_token": null})");
  EXPECT_EQ(tokenizer.bos(), TokenId{1});
  EXPECT_EQ(tokenizer.eos(), TokenId{9});
  EXPECT_EQ(tokenizer.description().pad, std::nullopt);
  EXPECT_TRUE(tokenizer.is_end_of_generation(TokenId{9}));
}

// transformers: the flags count for Llama's class and its like, whose post-processor they make; for all others
// tokenizer.json is right.
TEST(HuggingFace, FlagsCountForLlamasClassOnly) {
  const auto added = [](const std::string& config) {
    return numbers(make("{\"bos_token\": \"<s>\", \"eos_token\": \"<end>\", " + config + "}")
                       .encode("ab", {.add = AddTokens::kYes}));
  };
  EXPECT_EQ(added(R"("tokenizer_class": "LlamaTokenizerFast", "add_bos_token": false)"), std::vector{7});
  EXPECT_EQ(added(R"("tokenizer_class": "GemmaTokenizer", "add_eos_token": true)"), (std::vector{1, 7, 9}));
  EXPECT_EQ(added(R"("tokenizer_class": "LlamaTokenizer")"), (std::vector{1, 7}));
  for (const char* name : {"PreTrainedTokenizerFast", "GPT2TokenizerFast", "Qwen2Tokenizer"}) {
    EXPECT_EQ(added(std::string("\"tokenizer_class\": \"") + name + R"(", "add_bos_token": false, "add_eos_token": true)"),
              (std::vector{1, 7}))
        << name;
  }
  EXPECT_EQ(added(R"("add_bos_token": false)"), (std::vector{1, 7}));
}

std::vector<int> parsed(const HfTexts& texts, std::string_view text) {
  const auto made = Tokenizer::from_hf(texts);
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  return numbers(made->encode(text, {.special = SpecialInput::kParse}));
}

TEST(HuggingFace, OtherFilesNameAddedTokens) {
  const HfTexts decoder = {.tokenizer = kLlamaLike, .tokenizer_config = R"({"added_tokens_decoder": {
      "6": {"content": "ab", "normalized": false, "special": true}, "8": {"content": "<new>", "special": true},
      "-1": {"content": "<a>"}, "x": {"content": "<b>"}, "4000000000": {"content": "<c>"}}})"};
  EXPECT_EQ(parsed(decoder, "ab<new>b"), (std::vector{6, 8, 2, 4}));
  const auto made = Tokenizer::from_hf(decoder);
  EXPECT_TRUE(made->is_special(TokenId{8}));
  EXPECT_THAT(made->description().warnings,
              ::testing::ElementsAre(HasSubstr("-1"), HasSubstr("\"x\""), HasSubstr("4000000000")));
  const HfTexts encoder = {.tokenizer = kLlamaLike, .added_tokens = R"({"<new>": 8, "<bad>": -5})"};
  EXPECT_EQ(parsed(encoder, "<new>"), std::vector{8});
  EXPECT_FALSE(Tokenizer::from_hf(encoder)->is_special(TokenId{8}));
  // With an added_tokens_decoder the older file is not read.
  EXPECT_EQ(parsed({.tokenizer = kLlamaLike, .tokenizer_config = R"({"added_tokens_decoder": {}})",
                    .added_tokens = R"({"<new>": 8})"}, "<new>"),
            (std::vector{2, 0}));
}

TEST(HuggingFace, TheSpecialTokensMapNamesSpecialTokens) {
  constexpr std::string_view kMap = R"({"bos_token": "<s>", "eos_token": {"content": "ab", "lstrip": true},
                                        "additional_special_tokens": ["b"]})";
  const auto made = Tokenizer::from_hf({.tokenizer = kLlamaLike, .special_tokens_map = kMap});
  EXPECT_EQ(made->eos(), TokenId{6});
  EXPECT_TRUE(made->is_end_of_generation(TokenId{6}));
  EXPECT_TRUE(made->is_special(TokenId{4}));
  EXPECT_EQ(numbers(made->encode("a ab", {.special = SpecialInput::kParse})), (std::vector{5, 6}));
  // tokenizer_config.json's own value wins.
  const auto own = Tokenizer::from_hf(
      {.tokenizer = kLlamaLike, .tokenizer_config = R"({"eos_token": "<end>"})", .special_tokens_map = kMap});
  EXPECT_EQ(own->eos(), TokenId{9});
}

TEST(HuggingFace, EndsComeFromAnyFile) {
  const auto ends = [](std::string_view config, std::string_view generation) {
    const auto made =
        Tokenizer::from_hf({.tokenizer = kLlamaLike, .config = config, .generation_config = generation});
    return numbers(made->description().end_of_generation);
  };
  EXPECT_EQ(ends(R"({"eos_token_id": [4, 9]})", ""), (std::vector{4, 9}));
  EXPECT_EQ(ends(R"({"eos_token_id": 4})", "{}"), std::vector{4});
  EXPECT_EQ(ends(R"({"text_config": {"eos_token_id": 4}})", ""), std::vector{4});
  EXPECT_EQ(ends(R"({"eos_token_id": 4})", R"({"eos_token_id": 9})"), std::vector{9});
  EXPECT_EQ(ends(R"({"vocab_size": 20, "eos_token_id": 15})", ""), std::vector{15});
}

TEST(HuggingFace, IdsOutOfRangeAreIgnoredAndSaid) {
  const Tokenizer tokenizer = make("", R"({"eos_token_id": [9, 99, -1, "x"]})");
  EXPECT_EQ(numbers(tokenizer.description().end_of_generation), std::vector{9});
  EXPECT_THAT(tokenizer.description().warnings,
              ::testing::UnorderedElementsAre(HasSubstr("99"), HasSubstr("-1"), HasSubstr("\"x\"")));
}

TEST(HuggingFace, TheGenerationConfigNamesEnds) {
  const Tokenizer tokenizer = make("", R"({"eos_token_id": [9, 4]})");
  EXPECT_TRUE(tokenizer.is_end_of_generation(TokenId{4}));
  EXPECT_TRUE(tokenizer.is_end_of_generation(TokenId{9}));
  EXPECT_TRUE(make("", R"({"eos_token_id": 3})").is_end_of_generation(TokenId{3}));
}

TEST(HuggingFace, ErrorsNameTheFile) {
  EXPECT_THAT(error_of("{"), HasSubstr("tokenizer.json"));
  EXPECT_THAT(error_of("{}"), HasSubstr("tokenizer.json"));
  EXPECT_THAT(error_of(kLlamaLike, "[]"), HasSubstr("tokenizer_config.json"));
  EXPECT_THAT(error_of(kLlamaLike, "", "[]"), HasSubstr("generation_config.json"));
  std::string other_decoder(kLlamaLike);
  other_decoder.replace(other_decoder.find("ByteFallback"), 12, "WordPiece");
  EXPECT_THAT(error_of(other_decoder), HasSubstr("WordPiece"));
  std::string huge_id(kLlamaLike);
  huge_id.replace(huge_id.find("\"▁ab\": 7"), 10, "\"▁ab\": 4000000000");
  EXPECT_THAT(error_of(huge_id), HasSubstr("4000000000"));
}

}  // namespace
}  // namespace folio::text
