#include "weights/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace folio::weights {
namespace {

using ::testing::HasSubstr;

Result<GenerationConfig> of_gguf(test::GgufBuilder file) {
  const test::TempDir folder;
  const std::string path = folder.write("m.gguf", file.build());
  FOLIO_TRY(model, GgufModel::open(path));
  return generation_config(AnyModel(std::move(model)));
}

TEST(GenerationConfig, OfAGgufFile) {
  test::GgufBuilder file;
  file.add("general.architecture", "llama").tensor({.name = "t", .dims = {8}});
  const auto silent = of_gguf(file);
  ASSERT_TRUE(silent);
  EXPECT_FALSE(silent->says_sampling());
  EXPECT_EQ(silent->source, "");
  file.add("general.sampling.temp", 0.6F).add("general.sampling.top_k", std::int32_t{20});
  file.add("general.sampling.penalty_repeat", 1.1F);
  const auto config = of_gguf(file);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->temperature, 0.6F);
  EXPECT_EQ(config->top_k, 20);
  EXPECT_EQ(config->repetition_penalty, 1.1F);
  EXPECT_FALSE(config->top_p || config->min_p || config->max_new_tokens);
  EXPECT_THAT(config->source, HasSubstr("m.gguf"));
  const auto wrong = of_gguf(file.add("general.sampling.top_p", "high"));
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("general.sampling.top_p"));
}

TEST(GenerationConfig, OfAFolder) {
  const test::TempDir folder;
  const auto none = generation_config_in(folder.path());
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->says_sampling());
  folder.write("generation_config.json",
               R"({"temperature": 0.7, "top_k": null, "top_p": 0.8, "max_new_tokens": 512, "eos_token_id": [1, 2]})");
  const auto config = generation_config_in(folder.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->temperature, 0.7F);
  EXPECT_EQ(config->top_p, 0.8F);
  EXPECT_FALSE(config->top_k);
  EXPECT_EQ(config->max_new_tokens, 512u);
  for (const char* bad : {R"({"temperature": "warm"})", R"({"top_k": 1e10})", "[1]", "{"}) {
    folder.write("generation_config.json", bad);
    const auto refused = generation_config_in(folder.path());
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().message, HasSubstr("generation_config.json"));
  }
}

}  // namespace
}  // namespace folio::weights
