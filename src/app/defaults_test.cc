#include "app/defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace folio::app {
namespace {

using ::testing::HasSubstr;

TEST(GenerationDefaults, AModelThatSaysNothingChatsAsLocalUsersKnowIt) {
  const auto defaults = choose_generation_defaults("auto", {});
  ASSERT_TRUE(defaults);
  EXPECT_EQ(defaults->chat,
            (sampling::SamplingParams{.temperature = 0.8F, .top_k = 40, .top_p = 0.95F, .min_p = 0.05F}));
  EXPECT_EQ(defaults->text, sampling::SamplingParams{});
  EXPECT_FALSE(defaults->max_new_tokens);
  EXPECT_EQ(describe_sampling(*defaults), "temperature 0.8, top-k 40, top-p 0.95, min-p 0.05");
}

TEST(GenerationDefaults, AModelThatSaysSomethingSaysAllOfIt) {
  const auto defaults =
      choose_generation_defaults("auto", {.temperature = 0.6F, .top_p = 0.9F, .max_new_tokens = 300});
  ASSERT_TRUE(defaults);
  EXPECT_EQ(defaults->chat, (sampling::SamplingParams{.temperature = 0.6F, .top_p = 0.9F}));
  EXPECT_EQ(defaults->text, defaults->chat);
  EXPECT_EQ(describe_sampling(*defaults), "temperature 0.6, top-p 0.9, at most 300 tokens");
  const auto length_only = choose_generation_defaults("auto", {.max_new_tokens = 300});
  ASSERT_TRUE(length_only);
  EXPECT_EQ(length_only->chat, kLocalChatSampling);
}

TEST(GenerationDefaults, OfVllmAndOfAnotherFolder) {
  const weights::GenerationConfig model{.temperature = 0.6F, .max_new_tokens = 300};
  const auto vllm = choose_generation_defaults("vllm", model);
  ASSERT_TRUE(vllm);
  EXPECT_EQ(vllm->chat, sampling::SamplingParams{});
  EXPECT_FALSE(vllm->max_new_tokens);
  const test::TempDir folder;
  folder.write("generation_config.json", R"({"top_k": 7})");
  const auto other = choose_generation_defaults(folder.path(), model);
  ASSERT_TRUE(other);
  EXPECT_EQ(other->chat, (sampling::SamplingParams{.top_k = 7}));
  const test::TempDir empty;
  const auto nothing = choose_generation_defaults(empty.path(), model);
  ASSERT_FALSE(nothing);
  EXPECT_THAT(nothing.error().message, HasSubstr("has no generation_config.json"));
  const auto nowhere = choose_generation_defaults("/nowhere", model);
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, HasSubstr("--generation-config"));
  const auto wild = choose_generation_defaults("auto", {.top_p = 7.0F, .source = "a.gguf: general.sampling"});
  ASSERT_FALSE(wild);
  EXPECT_THAT(wild.error().message, HasSubstr("a.gguf: general.sampling: top_p is 7"));
}

}  // namespace
}  // namespace folio::app
