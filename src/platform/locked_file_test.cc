#include "platform/locked_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "support/temp_dir.h"

namespace folio::platform {
namespace {

using ::testing::HasSubstr;
using IfLocked = LockedFile::IfLocked;

std::optional<LockedFile> locked(const std::string& path, IfLocked if_locked = IfLocked::kGiveUp) {
  auto file = LockedFile::open(path, if_locked);
  EXPECT_TRUE(file) << file.error().message;
  return file ? std::move(*file) : std::nullopt;
}

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(LockedFile, GoesOnWhereItEnded) {
  const test::TempDir dir;
  const std::string path = dir.write("part", "abc");
  auto file = locked(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->bytes(), 3u);
  ASSERT_TRUE(file->append("de"));
  std::string room(3, '\0');
  EXPECT_EQ(file->read(2, room).value(), "cde");
  EXPECT_EQ(file->read(5, room).value(), "");
  ASSERT_TRUE(file->rename_to(dir.file("whole")));
  EXPECT_EQ(content(dir.file("whole")), "abcde");
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(file->clear());
  EXPECT_EQ(file->bytes(), 0u);
  EXPECT_EQ(content(dir.file("whole")), "");
}

TEST(LockedFile, OneAtATime) {
  const test::TempDir dir;
  const std::string path = dir.file("part");
  auto first = locked(path);
  ASSERT_TRUE(first);
  EXPECT_FALSE(locked(path)) << "its lock is held";
  first.reset();
  EXPECT_TRUE(locked(path));
}

// Who waited finds the file of that name, not the one that its holder renamed or removed.
TEST(LockedFile, WhoWaitedNeverWritesIntoWhatWasRenamed) {
  const test::TempDir dir;
  const std::string path = dir.file("part"), whole = dir.file("whole");
  auto first = locked(path);
  ASSERT_TRUE(first);
  std::thread waiting([&] {
    auto second = locked(path, IfLocked::kWait);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->bytes(), 0u);
    ASSERT_TRUE(second->append("second"));
  });
  ASSERT_TRUE(first->append("first"));
  ::usleep(50'000);  // the other waits, or will meet the new name at once
  ASSERT_TRUE(first->rename_to(whole));
  first.reset();
  waiting.join();
  EXPECT_EQ(content(whole), "first");
  EXPECT_EQ(content(path), "second");
}

TEST(LockedFile, OnlyRegularFiles) {
  const test::TempDir dir;
  const std::string fifo = dir.file("fifo"), link = dir.file("link"), folder = dir.file("folder"),
                    target = dir.write("target", "keep");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::filesystem::create_symlink(target, link);
  std::filesystem::create_directory(folder);
  for (const std::string& path : {fifo, link, folder}) {
    const auto file = LockedFile::open(path, IfLocked::kGiveUp);
    ASSERT_FALSE(file) << path;
    EXPECT_EQ(file.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(file.error().message, HasSubstr(path + ": is not a regular file"));
  }
  EXPECT_EQ(content(target), "keep");
  EXPECT_EQ(LockedFile::open(dir.file("none/part"), IfLocked::kGiveUp).error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace folio::platform
