#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/safetensors_builder.h"
#include "support/temp_dir.h"

namespace folio::weights {
namespace {

using test::safetensors_file;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::span<const std::byte> bytes_of(const std::string& file) { return std::as_bytes(std::span(file)); }

std::string error_of(const std::string& file, ErrorKind kind = ErrorKind::kInvalid) {
  const auto header = parse_safetensors(bytes_of(file), "m.safetensors");
  if (header) return "parsed";
  EXPECT_THAT(header.error().message, AllOf(StartsWith("m.safetensors: "), HasSubstr("byte"), EndsWith(")")));
  EXPECT_EQ(header.error().kind, kind) << header.error().message;
  return header.error().message;
}

// The error for a header with this text in place of the tensors, and `data_bytes` bytes of data.
std::string header_error(const std::string& tensors, std::size_t data_bytes = 0,
                         ErrorKind kind = ErrorKind::kInvalid) {
  return error_of(safetensors_file("{" + tensors + "}", std::string(data_bytes, 'd')), kind);
}

std::string small_file() {
  return safetensors_file({{"a", "F32", {2, 1}, "12345678"},
                           {"b", "U8", {3}, "abc"},
                           {"c", "BF16", {}, "xy"},
                           {"d", "I64", {0}, ""}});
}

TEST(Safetensors, ReadsEveryDtypeAsItIs) {
  const std::string file = small_file();
  const auto header = parse_safetensors(bytes_of(file), "m.safetensors");
  ASSERT_TRUE(header) << header.error().message;
  ASSERT_EQ(header->entries.size(), 4u);
  const SafetensorsEntry* b = header->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, "U8");
  EXPECT_EQ(b->shape, std::vector<std::uint64_t>{3});
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(b->data.data()), b->data.size()), "abc");
  EXPECT_EQ(file.substr(b->offset, 3), "abc");
  EXPECT_TRUE(header->find("c")->shape.empty());
  EXPECT_EQ(header->find("e"), nullptr);
  EXPECT_EQ(*header->find_metadata("format"), "pt");
  EXPECT_EQ(header->find_metadata("x"), nullptr);
}

TEST(Safetensors, TheHeaderMayListTensorsInAnyOrderAndEndInSpaces) {
  const std::string file = safetensors_file(
      R"({"b":{"data_offsets":[4,8],"shape":[1],"dtype":"F32"},"a":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]}}   )",
      "aaaabbbb");
  const auto header = parse_safetensors(bytes_of(file), "m.safetensors");
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->entries[0].name, "b");
  EXPECT_EQ(header->entries[0].data[0], std::byte{'b'});
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string file = small_file();
  for (std::size_t size = 0; size < file.size(); ++size) {
    // A copy without a byte to spare, so that a sanitizer sees every read too far.
    const std::vector<char> cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    const auto header = parse_safetensors(std::as_bytes(std::span(cut)), "m.safetensors");
    ASSERT_FALSE(header) << size;
    EXPECT_THAT(header.error().message, AllOf(StartsWith("m.safetensors: "), HasSubstr("byte"))) << size;
  }
}

TEST(Safetensors, EveryFlippedBitIsReadOrRefused) {
  const std::string file = small_file();
  for (std::size_t i = 0; i < file.size() * 8; ++i) {
    std::string flipped = file;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    const auto header = parse_safetensors(bytes_of(flipped), "m.safetensors");
    if (!header) {
      EXPECT_THAT(header.error().message, StartsWith("m.safetensors: "));
    }
  }
}

TEST(Safetensors, TheHeaderSizeIsBounded) {
  EXPECT_THAT(error_of(std::string(8, '\xff') + "{}", ErrorKind::kTooLarge),
              HasSubstr("the limit is 104857600"));
  EXPECT_THAT(error_of(std::string("\x10\0\0\0\0\0\0\0{}", 10)),
              HasSubstr("header of 16 bytes does not fit: the file ends at byte 10"));
  EXPECT_THAT(error_of(std::string("\0\0\0\0\0\0\0\0", 8)), HasSubstr("does not start with {"));
}

TEST(Safetensors, TheJsonHasOneShape) {
  EXPECT_THAT(header_error(R"("a":1)"), HasSubstr("header: 'a' has a number in the wrong place (byte 1"));
  EXPECT_THAT(header_error(R"("a":[])"), HasSubstr("'a' has a list in the wrong place"));
  EXPECT_THAT(header_error(R"("a":null)"), HasSubstr("has a null"));
  EXPECT_THAT(header_error(R"("a":{"x":1})"), HasSubstr("'a' has an unknown field 'x'"));
  EXPECT_THAT(header_error(R"("a":{"dtype":"F32","dtype":"F32"})"), HasSubstr("has the field 'dtype' twice"));
  EXPECT_THAT(header_error(R"("a":{"dtype":"F32"})"),
              HasSubstr("'a' lacks one of dtype, shape, data_offsets"));
  EXPECT_THAT(header_error(R"("a":{"dtype":{}})"), HasSubstr("has an object in the wrong place"));
  EXPECT_THAT(header_error(R"("a":{"dtype":["F32"]})"), HasSubstr("has a list in the wrong place"));
  EXPECT_THAT(header_error(R"("a":{"shape":[[1]]})"), HasSubstr("has a list in the wrong place"));
  EXPECT_THAT(header_error(R"("a":{"shape":[-1]})"), HasSubstr("has a negative number"));
  EXPECT_THAT(header_error(R"("a":{"shape":[1.5]})"), HasSubstr("no 64-bit integer"));
  EXPECT_THAT(header_error(R"("a":{"shape":[99999999999999999999]})"), HasSubstr("no 64-bit integer"));
  EXPECT_THAT(header_error(R"("a":{"shape":[1,1,1,1,1,1,1,1,1]})"), HasSubstr("too many dimensions"));
  EXPECT_THAT(header_error(R"("a":{"shape":["1"]})"), HasSubstr("has a string in the wrong place"));
  EXPECT_THAT(header_error(R"("a":{"data_offsets":[0]})"), HasSubstr("not two numbers"));
  EXPECT_THAT(header_error(R"("a":{"data_offsets":[0,1,2]})"), HasSubstr("has a number in the wrong place"));
  EXPECT_THAT(header_error(R"("__metadata__":{"a":1})"), HasSubstr("has a number in the wrong place"));
  EXPECT_THAT(header_error(R"("__metadata__":{"a":{}})"), HasSubstr("has an object in the wrong place"));
  EXPECT_THAT(header_error(R"("a":{"dtype":)"), HasSubstr("not valid JSON"));
  EXPECT_THAT(header_error("\"\xff\":{}"), HasSubstr("not valid JSON"));
}

TEST(Safetensors, DtypeShapeAndOffsetsAgree) {
  const auto tensor = [](const char* dtype, const char* shape, const char* offsets) {
    return fmt::format(R"("a":{{"dtype":"{}","shape":[{}],"data_offsets":[{}]}})", dtype, shape, offsets);
  };
  EXPECT_THAT(header_error(tensor("Q4", "1", "0,1"), 1, ErrorKind::kUnsupported),
              HasSubstr("tensor 'a' has the unknown dtype 'Q4'"));
  EXPECT_THAT(header_error(tensor("F32", "2", "0,4"), 4),
              HasSubstr("tensor 'a' needs 8 bytes but its data_offsets are [0, 4)"));
  EXPECT_THAT(header_error(tensor("F32", "1", "4,0"), 4), HasSubstr("data_offsets are [4, 0)"));
  EXPECT_THAT(header_error(tensor("F32", "4611686018427387904,4", "0,0"), 0), HasSubstr("size overflows"));
  EXPECT_THAT(header_error(tensor("F4", "1", "0,1"), 1), HasSubstr("no whole number of bytes"));
  EXPECT_THAT(header_error(tensor("U8", "8", "0,8"), 7), HasSubstr("tensor 'a' ends at byte"));
}

TEST(Safetensors, TheTensorsCoverTheData) {
  const auto two = [](const char* a, const char* b) {
    return fmt::format(
        R"("a":{{"dtype":"U8","shape":[4],"data_offsets":[{}]}},"b":{{"dtype":"U8","shape":[4],"data_offsets":[{}]}})",
        a, b);
  };
  EXPECT_EQ(header_error(two("0,4", "4,8"), 8), "parsed");
  EXPECT_THAT(header_error(two("0,4", "3,7"), 7),
              HasSubstr("tensor 'b' starts at 3 of the data, inside, before the end"));
  EXPECT_THAT(header_error(two("0,4", "5,9"), 9), HasSubstr("after a hole"));
  EXPECT_THAT(header_error(two("0,4", "0,4"), 4), HasSubstr("starts at 0 of the data"));
  EXPECT_THAT(header_error(two("0,4", "4,8"), 10), HasSubstr("2 bytes after the last tensor belong to none"));
  EXPECT_THAT(
      header_error(
          R"("a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[1,2]})",
          2),
      HasSubstr("'a' is there twice"));
}

TEST(Safetensors, OpensFiles) {
  const test::TempDir dir;
  const auto file = SafetensorsFile::open(dir.write("m.safetensors", small_file()));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->header.find("b")->data[2], std::byte{'c'});
  EXPECT_FALSE(SafetensorsFile::open(dir.file("none")));
}

}  // namespace
}  // namespace folio::weights
