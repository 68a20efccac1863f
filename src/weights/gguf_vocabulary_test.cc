#include "weights/gguf_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace folio::weights {
namespace {

template <typename T>
GgufNumbers numbers(GgufType type, const std::vector<T>& values) {
  return {.element = type, .count = values.size(), .bytes = std::as_bytes(std::span(values))};
}

TEST(GgufVocabulary, ReadsEveryKey) {
  const std::vector<float> scores = {0, -1, -2};
  const std::vector<std::int32_t> types = {2, 3, 1};
  GgufMetadata metadata("test.gguf");
  metadata.add({"tokenizer.ggml.model", std::string_view("llama")});
  metadata.add({"tokenizer.ggml.pre", std::string_view("default")});
  metadata.add({"tokenizer.ggml.tokens", GgufStrings{"<unk>", "<s>", "a"}});
  metadata.add({"tokenizer.ggml.scores", numbers(GgufType::kF32, scores)});
  metadata.add({"tokenizer.ggml.token_type", numbers(GgufType::kI32, types)});
  metadata.add({"tokenizer.ggml.merges", GgufStrings{"a b"}});
  metadata.add({"tokenizer.ggml.bos_token_id", std::uint32_t{1}});
  metadata.add({"tokenizer.ggml.eos_token_id", std::uint32_t{0xFFFFFFFF}});  // "none" of some converters
  metadata.add({"tokenizer.ggml.add_bos_token", true});
  metadata.add({"tokenizer.ggml.add_space_prefix", false});
  const auto vocabulary = gguf_vocabulary(metadata);
  ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
  EXPECT_EQ(vocabulary->model, "llama");
  EXPECT_EQ(vocabulary->pre, "default");
  EXPECT_EQ(vocabulary->tokens[2], "a");
  EXPECT_EQ(vocabulary->scores, scores);
  EXPECT_EQ(vocabulary->token_types, types);
  EXPECT_EQ(vocabulary->merges.size(), 1u);
  EXPECT_EQ(vocabulary->bos_id, 1u);
  EXPECT_EQ(vocabulary->eos_id, std::nullopt);
  EXPECT_EQ(vocabulary->add_bos, true);
  EXPECT_EQ(vocabulary->add_eos, std::nullopt);
  EXPECT_EQ(vocabulary->add_space_prefix, false);
  EXPECT_FALSE(vocabulary->strip_after_control);
}

TEST(GgufVocabulary, WithoutAModelThereIsNone) {
  const auto vocabulary = gguf_vocabulary(GgufMetadata("test.gguf"));
  ASSERT_TRUE(vocabulary.has_value());
  EXPECT_EQ(vocabulary->model, "none");
}

TEST(GgufVocabulary, Phi3SwallowsWhiteSpace) {
  GgufMetadata metadata("test.gguf");
  metadata.add({"general.name", std::string_view("Phi-3 Mini")});
  metadata.add({"tokenizer.ggml.model", std::string_view("llama")});
  metadata.add({"tokenizer.ggml.tokens", GgufStrings{"a"}});
  EXPECT_TRUE(gguf_vocabulary(metadata)->strip_after_control);
}

TEST(GgufVocabulary, AWrongTypeIsNamed) {
  GgufMetadata metadata("test.gguf");
  metadata.add({"tokenizer.ggml.model", std::string_view("gpt2")});
  metadata.add({"tokenizer.ggml.tokens", std::uint32_t{3}});
  const auto vocabulary = gguf_vocabulary(metadata);
  ASSERT_FALSE(vocabulary.has_value());
  EXPECT_THAT(vocabulary.error().message, ::testing::HasSubstr("tokenizer.ggml.tokens"));
}

}  // namespace
}  // namespace folio::weights
