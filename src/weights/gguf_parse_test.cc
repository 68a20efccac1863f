#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/gguf_builder.h"
#include "weights/gguf.h"

namespace folio::weights {
namespace {

using test::everything_gguf;
using test::GgufBuilder;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::span<const std::byte> bytes_of(const std::string& file) { return std::as_bytes(std::span(file)); }

// The message that parsing ends with; it always starts with the file's name.
std::string error_of(const std::string& file, ErrorKind kind = ErrorKind::kInvalid) {
  const auto part = parse_gguf(bytes_of(file), "dir/m.gguf");
  if (!part) {
    EXPECT_THAT(part.error().message, StartsWith("dir/m.gguf: "));
    EXPECT_EQ(part.error().kind, kind) << part.error().message;
    return part.error().message;
  }
  return "parsed";
}

std::string error_of(const GgufBuilder& file, ErrorKind kind = ErrorKind::kInvalid) {
  return error_of(file.build(), kind);
}

GgufBuilder one_tensor(test::GgufTestTensor tensor) { return GgufBuilder().tensor(std::move(tensor)); }

TEST(GgufParse, ReadsTensorsRowMajor) {
  const std::string file = everything_gguf().build();
  const auto part = parse_gguf(bytes_of(file), "m.gguf");
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_EQ(part->version, 3u);
  ASSERT_EQ(part->tensors.size(), 3u);
  EXPECT_EQ(part->tensors[0].name, "norm.weight");
  EXPECT_EQ(part->tensors[0].data.size(), 12u);
  EXPECT_EQ(part->tensors[1].shape, (std::vector<std::uint64_t>{2, 4}));
  const Tensor& q4 = part->tensors[2];
  EXPECT_EQ(q4.type, kernels::TensorType::kQ4_0);
  EXPECT_EQ(q4.shape, (std::vector<std::uint64_t>{2, 2, 32}));
  EXPECT_EQ(q4.data.size(), 4 * 18u);
  EXPECT_EQ(q4.data[0], std::byte{1});
  EXPECT_EQ(q4.data.data() + q4.data.size(), bytes_of(file).data() + file.size());
}

TEST(GgufParse, ReadsVersion2AndFilesWithoutTensors) {
  GgufBuilder file;
  file.version = 2;
  file.add("general.name", "x");
  const std::string bytes = file.build();
  const auto part = parse_gguf(bytes_of(bytes), "m.gguf");
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_EQ(part->version, 2u);
  EXPECT_TRUE(part->tensors.empty());
  EXPECT_EQ(*part->metadata.get_string("general.name"), "x");
}

TEST(GgufParse, HonoursTheAlignmentAndTakesAScalar) {
  GgufBuilder file;
  file.alignment = 64;
  file.add("general.alignment", std::uint32_t{64})
      .tensor({.name = "s", .dims = {}, .type = 0})
      .tensor({.name = "t", .dims = {2}});
  const std::string bytes = file.build();
  const auto part = parse_gguf(bytes_of(bytes), "m.gguf");
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_EQ(part->tensors[0].shape, (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(part->tensors[1].data.data() - part->tensors[0].data.data(), 64);
}

TEST(GgufParse, EveryTruncationIsAnError) {
  const std::string file = everything_gguf().build();
  ASSERT_TRUE(parse_gguf(bytes_of(file), "m.gguf"));
  for (std::size_t size = 0; size < file.size(); ++size) {
    // A copy without a byte to spare, so that a sanitizer sees every read too far.
    const std::vector<char> cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    const auto part = parse_gguf(std::as_bytes(std::span(cut)), "m.gguf");
    ASSERT_FALSE(part) << size;
    EXPECT_THAT(part.error().message, AllOf(StartsWith("m.gguf: "), HasSubstr("byte"))) << size;
  }
}

TEST(GgufParse, EveryFlippedBitIsReadOrRefused) {
  const std::string file = everything_gguf().build();
  for (std::size_t i = 0; i < file.size() * 8; ++i) {
    std::string flipped = file;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    if (const auto part = parse_gguf(bytes_of(flipped), "m.gguf"); !part) {
      EXPECT_THAT(part.error().message, StartsWith("m.gguf: "));
    }
  }
}

TEST(GgufParse, RefusesForeignFilesAndVersions) {
  EXPECT_EQ(error_of("GGML" + std::string(40, '\0')), "dir/m.gguf: header: magic is not GGUF (byte 0)");
  GgufBuilder file;
  file.version = 1;
  EXPECT_EQ(error_of(file, ErrorKind::kUnsupported),
            "dir/m.gguf: header: version is 1, folio reads 2 and 3 (byte 4)");
  file.version = 0x03000000;
  EXPECT_THAT(error_of(file, ErrorKind::kUnsupported), AllOf(HasSubstr("big-endian"), EndsWith("(byte 4)")));
}

TEST(GgufParse, ComparesCountsWithTheFile) {
  GgufBuilder file = everything_gguf();
  file.tensor_count = 1000;
  EXPECT_THAT(error_of(file), AllOf(HasSubstr("tensor count is 1000, more than"), EndsWith("(byte 8)")));
  file.tensor_count = ~0ull;
  EXPECT_THAT(error_of(file, ErrorKind::kTooLarge),
              HasSubstr("tensor count is 18446744073709551615, the limit is 1048576"));
  file = everything_gguf();
  file.entry_count = 60000;
  EXPECT_THAT(error_of(file), AllOf(HasSubstr("metadata count is 60000, more than"), EndsWith("(byte 16)")));
  file.entry_count = 1ull << 63;
  EXPECT_THAT(error_of(file, ErrorKind::kTooLarge), HasSubstr("the limit is 65536"));
}

TEST(GgufParse, RefusesBadMetadata) {
  const auto raw64 = [](std::uint64_t n) { return GgufBuilder::raw(n); };
  const auto raw32 = [](std::uint32_t n) { return GgufBuilder::raw(n); };
  // The first key's length is at byte 24; the key "k", its type and its value follow.
  EXPECT_EQ(error_of(GgufBuilder().entry("k", 13, "12345678")),
            "dir/m.gguf: metadata key 'k': value type 13 is unknown (byte 33)");
  EXPECT_THAT(
      error_of(GgufBuilder().entry("k", 8, raw64(9) + "short")),
      AllOf(HasSubstr("'k': value needs 9 bytes but the file ends at byte 50"), EndsWith("(byte 45)")));
  EXPECT_THAT(error_of(GgufBuilder().entry("k", 8, raw64(1ull << 62)), ErrorKind::kTooLarge),
              HasSubstr("the limit is 67108864"));
  EXPECT_THAT(error_of(GgufBuilder().entry("k", 9, raw32(9) + raw64(0)), ErrorKind::kUnsupported),
              HasSubstr("array of arrays"));
  EXPECT_THAT(error_of(GgufBuilder().entry("k", 9, raw32(99) + raw64(0))),
              HasSubstr("array element type 99 is unknown"));
  EXPECT_THAT(error_of(GgufBuilder().entry("k", 9, raw32(4) + raw64(1000))),
              AllOf(HasSubstr("array length is 1000, more than the 0 bytes left"), EndsWith("(byte 41)")));
  EXPECT_THAT(error_of(GgufBuilder().entry("k", 9, raw32(8) + raw64(1ull << 40)), ErrorKind::kTooLarge),
              HasSubstr("the limit is 67108864"));
  EXPECT_THAT(error_of(GgufBuilder().add("k", 1.0f).add("k", 2.0f)),
              AllOf(HasSubstr("metadata key 'k': the key is there twice"), EndsWith("(byte 41)")));
  EXPECT_THAT(error_of(GgufBuilder().add("bad\x1b[31m", 1.0f).add("bad\x1b[31m", 1.0f)),
              HasSubstr("'bad\\x1b[31m'"));
}

TEST(GgufParse, RefusesBadAlignment) {
  for (const std::uint32_t alignment : {0u, 3u, 48u, 1u << 21}) {
    EXPECT_THAT(error_of(GgufBuilder().add("general.alignment", alignment)),
                AllOf(HasSubstr("'general.alignment' at byte 53 is"), HasSubstr("expected a power of two")));
  }
  EXPECT_THAT(error_of(GgufBuilder().add("general.alignment", "32")), HasSubstr("is string, expected"));
}

TEST(GgufParse, RefusesBadTensors) {
  // The first tensor's line starts at byte 24: name "t", dimensions at 33, the first of them at 37.
  EXPECT_EQ(error_of(one_tensor({.name = "t", .dims = {1, 1, 1, 1, 1}})),
            "dir/m.gguf: tensor 't': 5 dimensions, at most 4 are allowed (byte 33)");
  EXPECT_EQ(error_of(one_tensor({.name = "t", .dims = {4, 0}})),
            "dir/m.gguf: tensor 't': dimension 1 is 0 (byte 45)");
  EXPECT_THAT(error_of(one_tensor({.name = "t", .dims = {4}, .type = 31}), ErrorKind::kUnsupported),
              AllOf(HasSubstr("tensor 't': type 31 is not supported; folio reads F32 F16 Q4_0"),
                    EndsWith("NVFP4 (byte 45)")));
  EXPECT_EQ(error_of(one_tensor({.name = "t", .dims = {33, 2}, .type = 2})),
            "dir/m.gguf: tensor 't': rows of 33 numbers are no multiple of 32, the block of Q4_0 (byte 33)");
  EXPECT_THAT(error_of(one_tensor({.name = "t", .dims = {1u << 31, 1u << 31, 4}, .data = ""})),
              HasSubstr("'t': the product of the dimensions overflows"));
  EXPECT_THAT(error_of(one_tensor({.name = "t", .dims = {1ull << 62}, .data = ""})), HasSubstr("overflows"));
  EXPECT_THAT(error_of(one_tensor({.name = "t", .dims = {1ull << 40}, .data = "abc"})),
              AllOf(HasSubstr("'t': its 4398046511104 bytes end at byte"), HasSubstr("truncated")));
  EXPECT_THAT(error_of(GgufBuilder().tensor({.name = "t", .dims = {8}}).tensor({.name = "t", .dims = {8}})),
              AllOf(HasSubstr("tensor 't': the tensor is there twice"), EndsWith("(byte 57)")));
}

TEST(GgufParse, OffsetsMustFollowEachOther) {
  for (const std::uint64_t offset : {0ull, 32ull, 63ull, 65ull, 96ull, ~0ull - 31, ~0ull}) {
    const auto file =
        GgufBuilder().tensor({.name = "a", .dims = {9}}).tensor({.name = "b", .dims = {8}, .offset = offset});
    EXPECT_THAT(error_of(file),
                AllOf(HasSubstr("tensor 'b': offset is "), HasSubstr("expected 64"), EndsWith("(byte 57)")));
  }
}

TEST(GgufParse, NamesAreBounded) {
  EXPECT_THAT(error_of(one_tensor({.name = std::string(2000, 'n'), .dims = {1}}), ErrorKind::kTooLarge),
              HasSubstr("tensor 0: name has a length of 2000 bytes, the limit is 1024"));
}

}  // namespace
}  // namespace folio::weights
