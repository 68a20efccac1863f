#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/gguf_builder.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"
#include "weights/gguf.h"
#include "weights/gguf_split.h"

namespace folio::weights {
namespace {

using test::GgufBuilder;
using test::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Part `no` (from 0) of `count`, with one tensor "tN".
GgufBuilder split_part(int no, int count, std::int32_t tensors) {
  GgufBuilder file;
  if (no == 0) file.add("general.architecture", "llama");
  file.add("split.no", static_cast<std::uint16_t>(no)).add("split.count", static_cast<std::uint16_t>(count));
  file.add("split.tensors.count", tensors).tensor({.name = fmt::format("t{}", no), .dims = {8}});
  return file;
}

std::string error_of(const std::string& path, ErrorKind kind = ErrorKind::kInvalid) {
  const auto model = GgufModel::open(path);
  if (model) return "opened";
  EXPECT_EQ(model.error().kind, kind) << model.error().message;
  return model.error().message;
}

class SplitModel : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int no = 0; no < 3; ++no) write(no, split_part(no, 3, 3));
  }
  std::string path(int no) const {
    return dir_.file(split_name({"m", static_cast<std::uint32_t>(no + 1), 3}));
  }
  void write(int no, const GgufBuilder& file) const {
    std::ofstream(path(no), std::ios::binary) << file.build();
  }

  TempDir dir_;
};

TEST(GgufModel, KeepsMappingMetadataAndTensorsTogether) {
  const TempDir dir;
  const std::string path = dir.write("m.gguf", test::everything_gguf().build());
  auto opened = GgufModel::open(path);
  ASSERT_TRUE(opened) << opened.error().message;
  const GgufModel model = std::move(*opened);
  EXPECT_EQ(model.paths, std::vector<std::string>{path});
  EXPECT_EQ(*model.metadata.get_string("general.architecture"), "llama");
  EXPECT_EQ(model.tensors.source(), path);
  EXPECT_EQ(model.tensors.total_bytes(), 12u + 16 + 72);
  ASSERT_NE(model.tensors.find("half.weight"), nullptr);
  EXPECT_EQ(model.tensors.find("none"), nullptr);
}

TEST(GgufModel, FileErrorsNameTheFile) {
  const TempDir dir;
  EXPECT_THAT(error_of(dir.file("none.gguf"), ErrorKind::kNotFound), StartsWith(dir.file("none.gguf")));
  const std::string whole = test::everything_gguf().build();
  const std::string path = dir.write("cut.gguf", whole.substr(0, whole.size() - 1));
  EXPECT_THAT(error_of(path),
              AllOf(StartsWith(path + ": tensor 'blk.0.weight': its 72 bytes end"), HasSubstr("truncated")));
}

TEST_F(SplitModel, OpensFromAnyPart) {
  for (int no = 0; no < 3; ++no) {
    const auto model = GgufModel::open(path(no));
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_EQ(model->paths, (std::vector<std::string>{path(0), path(1), path(2)}));
    EXPECT_EQ(*model->metadata.get_string("general.architecture"), "llama");
    ASSERT_EQ(model->tensors.all().size(), 3u);
    EXPECT_EQ(model->tensors.all()[2].name, "t2");
  }
}

TEST_F(SplitModel, AMissingPartIsNamed) {
  std::filesystem::remove(path(1));
  EXPECT_THAT(error_of(path(0), ErrorKind::kNotFound), AllOf(StartsWith(path(1)), HasSubstr("part 2 of 3")));
}

TEST_F(SplitModel, PartsMustAgree) {
  write(1, split_part(2, 3, 3));
  EXPECT_THAT(error_of(path(0)), AllOf(StartsWith(path(1)), HasSubstr("metadata say part 3 of 3"),
                                       HasSubstr("says part 2 of 3")));
  write(1, split_part(1, 2, 3));
  EXPECT_THAT(error_of(path(0)), HasSubstr("part 2 of 2"));
  write(1, GgufBuilder());
  EXPECT_THAT(error_of(path(0)), HasSubstr("'split.no' is missing"));
}

TEST_F(SplitModel, TheAnnouncedTensorsMustBeThere) {
  write(0, split_part(0, 3, 4));
  EXPECT_THAT(error_of(path(2)),
              AllOf(StartsWith(path(0)), HasSubstr("'split.tensors.count' is 4 but the parts hold 3")));
}

TEST_F(SplitModel, ATensorInTwoPartsIsAnError) {
  write(1, split_part(1, 3, 3));
  GgufBuilder file;
  file.add("split.no", std::uint16_t{1})
      .add("split.count", std::uint16_t{3})
      .tensor({.name = "t0", .dims = {8}});
  write(1, file);
  EXPECT_THAT(error_of(path(0)), HasSubstr("tensor 't0' is there twice"));
}

TEST_F(SplitModel, ARenamedPartIsExplained) {
  std::filesystem::rename(path(0), dir_.file("renamed.gguf"));
  EXPECT_THAT(error_of(dir_.file("renamed.gguf")),
              HasSubstr("is one of 3 parts of a split model, so its name must end in"));
}

TEST(SplitName, IsParsedAndWritten) {
  const auto name = parse_split_name("/a/b-x-00002-of-00013.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->prefix, "/a/b-x");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->parts, 13u);
  EXPECT_EQ(split_name(*name), "/a/b-x-00002-of-00013.gguf");
  for (const char* other :
       {"", "x.gguf", "-0002-of-00003.gguf", "a-00004-of-00003.gguf", "a-00000-of-00003.gguf",
        "a-0000x-of-00003.gguf", "a-00001-of-00003.GGUF", "a-+0001-of-00003.gguf"}) {
    EXPECT_FALSE(parse_split_name(other)) << other;
  }
}

TEST(GgufModel, OpensEveryFileOfTheSharedData) {
  const std::string data = test::find_shared("data/reference");
  if (data.empty()) FOLIO_SKIP_OR_FAIL("data/reference");
  std::size_t files = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(data).parent_path())) {
    if (entry.path().extension() != ".gguf") continue;
    const auto model = GgufModel::open(entry.path().string());
    EXPECT_TRUE(model) << model.error().message;
    ++files;
  }
  EXPECT_GT(files, 0u);
}

}  // namespace
}  // namespace folio::weights
