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

std::vector<int> numbers(const Result<std::vector<TokenId>>& tokens) {
  EXPECT_TRUE(tokens.has_value()) << (tokens ? "" : tokens.error().message);
  std::vector<int> out;
  if (tokens) {
    for (const TokenId id : *tokens) out.push_back(raw(id));
  }
  return out;
}

Tokenizer make(std::string_view config = "", std::string_view generation = "") {
  auto made = Tokenizer::from_hf(kLlamaLike, config, generation);
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  return std::move(*made);
}

std::string error_of(std::string_view json, std::string_view config = "", std::string_view generation = "") {
  const auto made = Tokenizer::from_hf(json, config, generation);
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

TEST(HuggingFace, TheConfigDecidesWhatIsAdded) {
  const Tokenizer without = make(R"({"bos_token": "<s>", "add_bos_token": false})");
  EXPECT_EQ(numbers(without.encode("ab", {.add = AddTokens::kYes})), std::vector{7});
  const Tokenizer both =
      make(R"({"bos_token": "<s>", "add_bos_token": true, "eos_token": "<end>", "add_eos_token": true})");
  EXPECT_EQ(numbers(both.encode("ab", {.add = AddTokens::kYes})), (std::vector{1, 7, 9}));
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
  EXPECT_THAT(error_of(kLlamaLike, "", R"({"eos_token_id": [99]})"), HasSubstr("eos_token_id holds 99"));
  EXPECT_THAT(error_of(kLlamaLike, "", R"({"eos_token_id": "x"})"), HasSubstr("generation_config.json"));
  std::string other_decoder(kLlamaLike);
  other_decoder.replace(other_decoder.find("ByteFallback"), 12, "WordPiece");
  EXPECT_THAT(error_of(other_decoder), HasSubstr("WordPiece"));
  std::string huge_id(kLlamaLike);
  huge_id.replace(huge_id.find("\"▁ab\": 7"), 10, "\"▁ab\": 4000000000");
  EXPECT_THAT(error_of(huge_id), HasSubstr("4000000000"));
}

}  // namespace
}  // namespace folio::text
