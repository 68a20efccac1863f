#include "platform/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/temp_dir.h"

namespace folio::platform {
namespace {

using ::testing::HasSubstr;

int mode_of(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<int>(status.st_mode & 0777) : -1;
}

TEST(File, WritesAndReadsBack) {
  const test::TempDir dir;
  const std::string path = dir.file("notes"), content = std::string("a\0b\n", 4);
  ASSERT_TRUE(write_file_atomically(path, content, FileAccess::kOwner));
  EXPECT_EQ(read_file(path, 100).value(), content);
  EXPECT_EQ(mode_of(path), 0600);
  ASSERT_TRUE(write_file_atomically(path, "new", FileAccess::kOwner));
  EXPECT_EQ(read_file(path, 100).value(), "new");
  const auto entries = std::distance(std::filesystem::directory_iterator(dir.path()), {});
  EXPECT_EQ(entries, 1) << "a temporary file was left";
}

TEST(File, ReadStopsAtTheLimit) {
  const test::TempDir dir;
  const std::string path = dir.write("long", std::string(101, 'x'));
  EXPECT_EQ(read_file(path, 101).value().size(), 101u);
  const auto refused = read_file(path, 100);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kTooLarge);
  EXPECT_THAT(refused.error().message, HasSubstr("100 bytes"));
}

TEST(File, OnlyARegularFileWhereOneIsMeant) {
  const test::TempDir dir;
  ASSERT_EQ(::mkfifo(dir.file("fifo").c_str(), 0600), 0);
  for (const std::string& path : {dir.file("fifo"), dir.path(), std::string("/dev/zero")})
    EXPECT_THAT(read_regular_file(path, 100).error().message, HasSubstr(path + ": is not a regular file"));
  EXPECT_EQ(read_regular_file(dir.write("a", "text"), 100).value(), "text");
  EXPECT_EQ(read_regular_file(dir.file("none"), 100).error().kind, ErrorKind::kNotFound);
}

TEST(File, ErrorsNameThePath) {
  const test::TempDir dir;
  EXPECT_EQ(read_file(dir.file("none"), 1).error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(read_file(dir.path(), 1).error().message, HasSubstr(dir.path()));
  EXPECT_THAT(write_file_atomically(dir.file("no/file"), "x", FileAccess::kEveryone).error().message,
              HasSubstr("no/file"));
  EXPECT_THAT(write_file_atomically(dir.path(), "x", FileAccess::kEveryone).error().message,
              HasSubstr("directory"));
}

TEST(File, ALinkKeepsPointing) {
  const test::TempDir dir;
  dir.write("target", "old");
  std::filesystem::create_symlink(dir.file("target"), dir.file("link"));
  ASSERT_TRUE(write_file_atomically(dir.file("link"), "new", FileAccess::kEveryone));
  EXPECT_TRUE(std::filesystem::is_symlink(dir.file("link")));
  EXPECT_EQ(read_file(dir.file("target"), 10).value(), "new");
}

TEST(File, FoldersAreMadeOnceAndPrivate) {
  const test::TempDir dir;
  ASSERT_TRUE(make_private_folders(dir.file("a/b")));
  ASSERT_TRUE(make_private_folders(dir.file("a/b")));
  EXPECT_EQ(mode_of(dir.file("a/b")), 0700);
  dir.write("file", "x");
  EXPECT_THAT(make_private_folders(dir.file("file/b")).error().message, HasSubstr("file/b"));
}

}  // namespace
}  // namespace folio::platform
