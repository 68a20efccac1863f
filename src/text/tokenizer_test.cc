#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <thread>

#include "text/tiny_vocabularies.h"

namespace folio::text {
namespace {

using testing::fill_byte_level;
using testing::fill_spm;
using ::testing::HasSubstr;
using testing::TinyVocabulary;

std::vector<int> numbers(const Result<std::vector<TokenId>>& tokens) {
  EXPECT_TRUE(tokens.has_value()) << (tokens ? "" : tokens.error().message);
  std::vector<int> out;
  if (tokens) {
    for (const TokenId id : *tokens) out.push_back(raw(id));
  }
  return out;
}

Tokenizer byte_level() {
  TinyVocabulary tiny;
  fill_byte_level(tiny);
  return Tokenizer::from_vocabulary(tiny.vocabulary).value();
}

Tokenizer spm() {
  TinyVocabulary tiny;
  fill_spm(tiny);
  return Tokenizer::from_vocabulary(tiny.vocabulary).value();
}

// As SentencePiece would: id of a piece in the tiny SPM vocabulary.
int piece(const Tokenizer& tokenizer, std::string_view text) { return raw(tokenizer.find(text).value()); }

TEST(ByteLevel, MergesInOrder) {
  const Tokenizer tokenizer = byte_level();
  EXPECT_EQ(numbers(tokenizer.encode("the user")), (std::vector{257, 32, 260}));
  EXPECT_EQ(numbers(tokenizer.encode("")), std::vector<int>{});
  EXPECT_EQ(tokenizer.description().merge_count, 6u);
  EXPECT_EQ(tokenizer.description().kind, "byte-level BPE");
}

TEST(ByteLevel, ControlTokensAreParsedOnlyWhenAsked) {
  const Tokenizer tokenizer = byte_level();
  const int end = raw(*tokenizer.find("<|im_end|>"));
  EXPECT_EQ(numbers(tokenizer.encode("a<|im_end|>", {.special = SpecialInput::kParse})),
            (std::vector{97, end}));
  const auto as_text = numbers(tokenizer.encode("a<|im_end|>", {.special = SpecialInput::kAsText}));
  EXPECT_EQ(std::ranges::count(as_text, end), 0);
  EXPECT_EQ(as_text.back(), 261);  // "|>" is a merge like any other
}

TEST(ByteLevel, UserDefinedTokensAreAlwaysFound) {
  const Tokenizer tokenizer = byte_level();
  const int think = raw(*tokenizer.find("<think>"));
  EXPECT_EQ(numbers(tokenizer.encode("<think>", {.special = SpecialInput::kAsText})), std::vector{think});
  EXPECT_FALSE(tokenizer.is_special(TokenId{think}));
}

TEST(ByteLevel, AddsWhatTheVocabularySays) {
  TinyVocabulary tiny;
  fill_byte_level(tiny);
  tiny.vocabulary.add_bos = true;
  tiny.vocabulary.add_eos = true;
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(tiny.vocabulary).value();
  EXPECT_EQ(numbers(tokenizer.encode("a", {.add = AddTokens::kYes})), (std::vector{262, 97, 263}));
  EXPECT_EQ(numbers(tokenizer.encode("a", {.add = AddTokens::kNo})), std::vector{97});
  EXPECT_TRUE(tokenizer.description().adds_bos);
}

TEST(ByteLevel, BreaksKeepControlTokensFromBeingRecognised) {
  const Tokenizer tokenizer = byte_level();
  const std::string text = "<|im_end|><|im_end|>";
  const std::size_t inside_first[] = {1};
  const auto tokens = numbers(tokenizer.encode_with_breaks(text, inside_first));
  const int end = raw(*tokenizer.find("<|im_end|>"));
  EXPECT_EQ(std::ranges::count(tokens, end), 1);
  EXPECT_EQ(tokens.back(), end);
}

RC_GTEST_PROP(ByteLevel, DecodingGivesTheTextBack, ()) {
  static const Tokenizer tokenizer = byte_level();
  const auto character =
      rc::gen::element<std::string>("t", "h", "e", " ", "\n", "é", "€", "😀", "1", "<|im_end|>", "us");
  std::string text;
  for (const auto& c : *rc::gen::container<std::vector<std::string>>(character)) text += c;
  for (const SpecialInput special : {SpecialInput::kParse, SpecialInput::kAsText}) {
    RC_ASSERT(tokenizer.decode(*tokenizer.encode(text, {.special = special}), SpecialText::kKeep) == text);
  }
}

TEST(Spm, BlanksBytesAndScores) {
  const Tokenizer tokenizer = spm();
  EXPECT_EQ(numbers(tokenizer.encode("ab hi")),
            (std::vector{piece(tokenizer, "▁ab"), piece(tokenizer, "▁hi")}));
  EXPECT_EQ(numbers(tokenizer.encode("é")), (std::vector{piece(tokenizer, "▁"), 3 + 0xC3, 3 + 0xA9}));
  EXPECT_EQ(tokenizer.decode(*tokenizer.encode("ab é hi"), SpecialText::kKeep), "ab é hi");
  EXPECT_EQ(numbers(tokenizer.encode("")), std::vector<int>{});
}

TEST(Spm, WithoutThePrefixNothingIsStripped) {
  TinyVocabulary tiny;
  fill_spm(tiny);
  tiny.vocabulary.add_space_prefix = false;
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(tiny.vocabulary).value();
  EXPECT_EQ(numbers(tokenizer.encode("ab")), std::vector{piece(tokenizer, "ab")});
  EXPECT_EQ(tokenizer.decode(*tokenizer.encode(" ab"), SpecialText::kKeep), " ab");
}

TEST(Spm, BosByDefault) {
  const Tokenizer tokenizer = spm();
  EXPECT_EQ(numbers(tokenizer.encode("ab", {.add = AddTokens::kYes})).front(), 1);
  EXPECT_EQ(numbers(tokenizer.encode("<s>", {.special = SpecialInput::kParse})), std::vector{1});
  EXPECT_GT(numbers(tokenizer.encode("<s>")).size(), 1u);
}

TEST(Tokenizer, InvalidUtf8NamesTheByte) {
  const auto tokens = byte_level().encode("abc\xFFz");
  ASSERT_FALSE(tokens.has_value());
  EXPECT_THAT(tokens.error().message, HasSubstr("byte 3 (0xFF)"));
}

TEST(Tokenizer, EndOfGeneration) {
  TinyVocabulary tiny;
  fill_byte_level(tiny);
  const std::uint32_t eot = tiny.add("<|my_eot|>", TokenType::kControl);
  const std::uint32_t known = tiny.add("<|eot_id|>", TokenType::kNormal);  // left "normal" by a converter
  tiny.vocabulary.eot_id = eot;
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(tiny.vocabulary).value();
  for (const std::uint32_t id : {*tiny.vocabulary.eos_id, eot, known}) {
    EXPECT_TRUE(tokenizer.is_end_of_generation(static_cast<TokenId>(id))) << id;
    EXPECT_TRUE(tokenizer.is_special(static_cast<TokenId>(id))) << id;
  }
  EXPECT_FALSE(tokenizer.is_end_of_generation(TokenId{97}));
  EXPECT_FALSE(tokenizer.is_end_of_generation(TokenId{-1}));
}

TEST(Tokenizer, UnknownIdsAreNothing) {
  const Tokenizer tokenizer = byte_level();
  for (const int id : {-1, 1 << 20, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}) {
    EXPECT_EQ(tokenizer.token_bytes(TokenId{id}), "");
    EXPECT_FALSE(tokenizer.is_special(TokenId{id}));
  }
  EXPECT_EQ(tokenizer.token_bytes(TokenId{0xC3}), "\xC3");
}

TEST(Tokenizer, RefusesWhatItDoesNotKnow) {
  TinyVocabulary tiny;
  fill_byte_level(tiny);
  tiny.vocabulary.pre = "no-such-family";
  auto made = Tokenizer::from_vocabulary(tiny.vocabulary);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(made.error().message, HasSubstr("no-such-family"));
  EXPECT_THAT(made.error().message, HasSubstr("smollm"));
  tiny.vocabulary.model = "bert";
  made = Tokenizer::from_vocabulary(tiny.vocabulary);
  ASSERT_FALSE(made.has_value());
  EXPECT_THAT(made.error().message, HasSubstr("bert"));
}

TEST(Tokenizer, RefusesContradictions) {
  const auto error = [](auto change) {
    TinyVocabulary tiny;
    fill_spm(tiny);
    change(tiny.vocabulary);
    const auto made = Tokenizer::from_vocabulary(tiny.vocabulary);
    return made ? std::string("none") : made.error().message;
  };
  EXPECT_THAT(error([](Vocabulary& v) { v.scores.pop_back(); }), HasSubstr("scores"));
  EXPECT_THAT(error([](Vocabulary& v) { v.scores.clear(); }), HasSubstr("scores"));
  EXPECT_THAT(error([](Vocabulary& v) { v.token_types.pop_back(); }), HasSubstr("token_type"));
  EXPECT_THAT(error([](Vocabulary& v) {
                v.tokens.clear(), v.scores.clear(), v.token_types.clear(),
                    v.bos_id = v.eos_id = v.unk_id = {};
              }),
              HasSubstr("empty"));
  EXPECT_THAT(error([](Vocabulary& v) { v.tokens[5] = "\xFF"; }), HasSubstr("tokens[5]"));
}

TEST(Tokenizer, IdsOutOfRangeAreIgnoredAndSaid) {
  TinyVocabulary tiny;
  fill_spm(tiny);
  tiny.vocabulary.bos_id = 100000;
  tiny.vocabulary.eot_id = 200000;
  const auto made = Tokenizer::from_vocabulary(tiny.vocabulary);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(made->bos(), std::nullopt);
  EXPECT_THAT(made->description().warnings,
              ::testing::ElementsAre(HasSubstr("bos_token_id 100000"), HasSubstr("eot_token_id 200000")));
}

TEST(Tokenizer, NoneWorksOnIdsOnly) {
  TinyVocabulary tiny;
  tiny.vocabulary.model = "none";
  const Tokenizer tokenizer = Tokenizer::from_vocabulary(tiny.vocabulary).value();
  EXPECT_FALSE(tokenizer.has_text());
  const auto tokens = tokenizer.encode("a");
  ASSERT_FALSE(tokens.has_value());
  EXPECT_THAT(tokens.error().message, HasSubstr("no tokenizer"));
  EXPECT_EQ(tokenizer.decode(std::vector{TokenId{1}}, SpecialText::kKeep), "");
  EXPECT_EQ(tokenizer.find("a"), std::nullopt);
  EXPECT_EQ(Tokenizer::ids_only(320).vocab_size(), 320u);
}

TEST(Tokenizer, ManyThreadsAtOnce) {
  const Tokenizer tokenizer = byte_level();
  std::string text;
  for (int i = 0; i < 200; ++i) text += "the user é <|im_end|> " + std::to_string(i);
  const auto expected = numbers(tokenizer.encode(text));
  std::vector<std::thread> threads;
  std::vector<int> equal(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) equal[t] += numbers(tokenizer.encode(text)) == expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(equal, ::testing::Each(20));
}

}  // namespace
}  // namespace folio::text
