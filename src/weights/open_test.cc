#include "weights/open.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "support/gguf_builder.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace folio::weights {
namespace {

using test::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string error_of(const std::string& path) {
  const auto model = open_model(path);
  if (model) return "opened";
  EXPECT_THAT(model.error().message, StartsWith(path + ": "));
  return model.error().message;
}

TEST(OpenModel, DecidesByContent) {
  const TempDir dir;
  const auto gguf = open_model(dir.write("any.name", test::everything_gguf().build()));
  ASSERT_TRUE(gguf) << gguf.error().message;
  EXPECT_TRUE(std::holds_alternative<GgufModel>(*gguf));

  dir.write("config.json", "{}");
  dir.write("model.safetensors", test::safetensors_file({{"w", "F32", {1}, "1234"}}));
  const auto hf = open_model(dir.path());
  ASSERT_TRUE(hf) << hf.error().message;
  EXPECT_TRUE(std::holds_alternative<HfModel>(*hf));
}

TEST(OpenModel, SaysWhatAFileIsInstead) {
  const TempDir dir;
  const std::string weights =
      dir.write("model.safetensors", test::safetensors_file({{"w", "F32", {1}, "1234"}}));
  EXPECT_THAT(error_of(weights), HasSubstr("is a safetensors file; give its directory"));
  EXPECT_THAT(error_of(dir.write("a", " \n<!DOCTYPE html><html>")), HasSubstr("is a web page"));
  EXPECT_THAT(error_of(dir.write("b", "<HTML>")), HasSubstr("is a web page"));
  EXPECT_THAT(error_of(dir.write("c", "version https://git-lfs.github.com/spec/v1\n")),
              HasSubstr("Git LFS pointer"));
  EXPECT_THAT(error_of(dir.write("d", "PK\x03\x04....")), HasSubstr("zip archive"));
  EXPECT_THAT(error_of(dir.write("e", "tjgg....")), HasSubstr("older than GGUF"));
  EXPECT_THAT(error_of(dir.write("f", "{\"a\":1}")), HasSubstr("is JSON"));
  EXPECT_THAT(error_of(dir.write("g", "GG")), HasSubstr("no model that folio knows"));
  EXPECT_THAT(error_of(dir.write("h", std::string(300, ' '))), HasSubstr("no model that folio knows"));
  EXPECT_THAT(error_of(dir.write("i", "")), HasSubstr("is empty"));
  EXPECT_THAT(error_of(dir.file("none")), HasSubstr("No such file"));
}

TEST(OpenModel, ADirectoryOfGgufFilesIsExplained) {
  const TempDir dir;
  dir.write("b.gguf", "GGUF");
  dir.write("a.gguf", "GGUF");
  EXPECT_THAT(error_of(dir.path()),
              AllOf(HasSubstr("is a directory of GGUF files"), HasSubstr("such as a.gguf")));
}

}  // namespace
}  // namespace folio::weights
