#include "weights/hf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "support/safetensors_builder.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace folio::weights {
namespace {

using test::safetensors_file;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kIndexName = "model.safetensors.index.json";

class HfModelTest : public ::testing::Test {
 protected:
  void SetUp() override { dir_.write("config.json", R"({"z":1,"model_type":"llama"})"); }

  std::string error_of(ErrorKind kind = ErrorKind::kInvalid) const {
    const auto model = HfModel::open(dir_.path());
    if (model) return "opened";
    EXPECT_EQ(model.error().kind, kind) << model.error().message;
    EXPECT_THAT(model.error().message, StartsWith(dir_.path()));
    return model.error().message;
  }

  void write_shards(std::string_view weight_map) const {
    dir_.write("s1.safetensors", safetensors_file({{"a", "F32", {1}, "aaaa"}}));
    dir_.write("s2.safetensors", safetensors_file({{"b", "F16", {2, 1}, "bbbb"}, {"c", "BF16", {}, "cc"}}));
    dir_.write(kIndexName, fmt::format(R"({{"metadata":{{"total_size":10}},"weight_map":{}}})", weight_map));
  }

  test::TempDir dir_;
};

TEST_F(HfModelTest, OpensASingleFileAndTheTexts) {
  dir_.write("model.safetensors", safetensors_file({{"w", "F32", {2, 1}, "12345678"}}));
  dir_.write("tokenizer.json", "T");
  dir_.write("chat_template.jinja", "J");
  const auto model = HfModel::open(dir_.path());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->paths, std::vector<std::string>{dir_.file("model.safetensors")});
  EXPECT_EQ(model->config.begin().key(), "z") << "in the order of the file";
  EXPECT_EQ(model->tokenizer_json, "T");
  EXPECT_EQ(model->chat_template_jinja, "J");
  EXPECT_EQ(model->tokenizer_config_json, std::nullopt);
  const Tensor* w = model->tensors.find("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->rows(), 2u);
  EXPECT_EQ(w->columns(), 1u);
  EXPECT_EQ(w->data[7], std::byte{'8'});
}

TEST_F(HfModelTest, OpensShards) {
  write_shards(R"({"c":"s2.safetensors","a":"s1.safetensors","b":"s2.safetensors"})");
  const auto model = HfModel::open(dir_.path());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->paths.size(), 2u);
  EXPECT_EQ(model->tensors.all().size(), 3u);
  EXPECT_EQ(model->tensors.total_bytes(), 10u);
  EXPECT_EQ(model->tensors.find("c")->shape, std::vector<std::uint64_t>{1});
  EXPECT_EQ(model->tensors.find("b")->type, kernels::TensorType::kF16);
}

TEST_F(HfModelTest, ShardsMustBeWhatTheIndexSays) {
  write_shards(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s2.safetensors"})");
  EXPECT_THAT(error_of(), AllOf(HasSubstr("s1.safetensors: tensor 'b' is missing"), HasSubstr(kIndexName)));
  write_shards(R"({"a":"s1.safetensors","b":"s3.safetensors"})");
  EXPECT_THAT(error_of(ErrorKind::kNotFound), HasSubstr("s3.safetensors: is missing, 1 tensors are in it"));
  write_shards(R"({"a":"s1.safetensors","b":"s2.safetensors"})");
  dir_.write("s1.safetensors", safetensors_file({{"a", "F32", {1}, "aaaa"}, {"b", "F32", {1}, "bbbb"}}));
  EXPECT_THAT(error_of(), HasSubstr("tensor 'b' is there twice"));
}

TEST_F(HfModelTest, TheIndexIsChecked) {
  write_shards("[]");
  EXPECT_THAT(error_of(), HasSubstr("field 'weight_map' is missing or not an object"));
  write_shards("{}");
  EXPECT_THAT(error_of(), HasSubstr("field 'weight_map'"));
  write_shards(R"({"a":1})");
  EXPECT_THAT(error_of(), HasSubstr("tensor 'a' is not mapped to a file name"));
  write_shards(R"({"a":"../s1.safetensors"})");
  EXPECT_THAT(error_of(), HasSubstr("tensor 'a' is not mapped to a file name"))
      << "shards stay in their directory";
  write_shards(R"({"a":)");
  EXPECT_THAT(error_of(), AllOf(HasSubstr(kIndexName), HasSubstr("not valid JSON (byte ")));
}

TEST_F(HfModelTest, RefusesWhatIsNoWeightTypeOnlyWhereItIsWanted) {
  dir_.write("model.safetensors",
             safetensors_file(
                 {{"f", "F8_E4M3", {4}, "1234"}, {"i", "I64", {1}, "12345678"}, {"w", "F32", {1}, "1234"}}));
  const auto model = HfModel::open(dir_.path());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->tensors.all().size(), 1u);
  EXPECT_EQ(model->tensors.foreign().size(), 2u);
  EXPECT_TRUE(model->tensors.get("w"));
  for (const char* name : {"f", "i"}) {
    EXPECT_EQ(model->tensors.find(name), nullptr);
    EXPECT_TRUE(model->tensors.contains(name));
    ASSERT_FALSE(model->tensors.get(name));
    EXPECT_EQ(model->tensors.get(name).error().kind, ErrorKind::kUnsupported);
  }
  EXPECT_THAT(model->tensors.get("f").error().message,
              HasSubstr("tensor 'f' has dtype F8_E4M3, folio reads F32, F16 and BF16"));
  dir_.write(
      "model.safetensors",
      safetensors_file({{"w", "I64", {1}, "12345678"}, {"w2", "F32", {1}, "1234"}, {"i", "I8", {1}, "1"}}));
  EXPECT_TRUE(HfModel::open(dir_.path()));
}

TEST_F(HfModelTest, ConfigAndWeightsMustBeThere) {
  EXPECT_THAT(error_of(ErrorKind::kNotFound), HasSubstr("has neither model.safetensors nor"));
  dir_.write("model.safetensors", safetensors_file({{"w", "F32", {1}, "1234"}}));
  dir_.write("config.json", R"(["a"])");
  EXPECT_THAT(error_of(), HasSubstr("config.json: is not a JSON object"));
  dir_.write("config.json", "{\"a\":\n  }");
  EXPECT_THAT(error_of(), HasSubstr("config.json: not valid JSON (byte 9)"));
  dir_.write("config.json", std::string(100, '['));
  EXPECT_THAT(error_of(ErrorKind::kTooLarge), HasSubstr("nested deeper than 64 (byte 64)"));
  std::filesystem::remove(dir_.file("config.json"));
  EXPECT_THAT(error_of(ErrorKind::kNotFound), HasSubstr("config.json: is missing"));
}

TEST_F(HfModelTest, TextsAreBounded) {
  dir_.write("model.safetensors", safetensors_file({{"w", "F32", {1}, "1234"}}));
  dir_.write("tokenizer_config.json", std::string(kMaxConfigBytes + 1, ' '));
  EXPECT_THAT(error_of(ErrorKind::kTooLarge),
              HasSubstr("tokenizer_config.json: has 4194305 bytes, the limit is 4194304"));
}

// Each is parsed into objects that cost the square of their keys.
TEST_F(HfModelTest, SmallTextsHaveFewKeys) {
  dir_.write("model.safetensors", safetensors_file({{"w", "F32", {1}, "1234"}}));
  std::string keys = "{\"0\":0";
  for (int i = 1; i < 20'001; ++i) keys += fmt::format(",\"{}\":0", i);
  for (const char* name : {"tokenizer_config.json", "generation_config.json", "chat_template.json"}) {
    dir_.write(name, keys + "}");
    EXPECT_THAT(error_of(ErrorKind::kTooLarge), AllOf(HasSubstr(name), HasSubstr("more than 20000 keys")));
    dir_.write(name, std::string(65, '[') + std::string(65, ']'));
    EXPECT_THAT(error_of(ErrorKind::kTooLarge), AllOf(HasSubstr(name), HasSubstr("nested deeper")));
    dir_.write(name, "{}");
  }
  EXPECT_EQ(error_of(), "opened");
}

TEST(HfModel, OpensEveryDirectoryOfTheSharedData) {
  const std::string data = test::find_shared("data/reference");
  if (data.empty()) FOLIO_SKIP_OR_FAIL("data/reference");
  std::size_t models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data)) {
    if (!std::filesystem::exists(entry.path() / "config.json")) continue;
    const auto model = HfModel::open(entry.path().string());
    EXPECT_TRUE(model) << model.error().message;
    ++models;
  }
  EXPECT_GT(models, 0u);
}

}  // namespace
}  // namespace folio::weights
