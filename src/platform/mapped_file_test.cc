#include "platform/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "support/temp_dir.h"

namespace folio::platform {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string text_of(const MappedFile& file) {
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::string error_of(const std::string& path, ErrorKind kind) {
  const auto file = MappedFile::open(path);
  if (file) return "opened";
  EXPECT_EQ(file.error().kind, kind);
  EXPECT_THAT(file.error().message, StartsWith(path + ": "));
  return file.error().message;
}

TEST(MappedFile, ShowsTheBytesOfTheFileAndStaysWhereItIsWhenMoved) {
  const test::TempDir dir;
  auto file = MappedFile::open(dir.write("a", "hello"));
  ASSERT_TRUE(file) << file.error().message;
  const std::byte* address = file->bytes().data();
  MappedFile moved = std::move(*file);
  EXPECT_EQ(text_of(moved), "hello");
  EXPECT_EQ(moved.bytes().data(), address);
  auto other = MappedFile::open(dir.write("b", "world!"));
  moved = std::move(*other);
  EXPECT_EQ(text_of(moved), "world!");
}

TEST(MappedFile, SaysWhyAPathCannotBeMapped) {
  const test::TempDir dir;
  EXPECT_THAT(error_of(dir.file("none"), ErrorKind::kNotFound), HasSubstr("No such file"));
  EXPECT_THAT(error_of(dir.write("file", "x") + "/below", ErrorKind::kNotFound),
              HasSubstr("Not a directory"));
  EXPECT_THAT(error_of(dir.path(), ErrorKind::kInvalid), HasSubstr("is a directory"));
  EXPECT_THAT(error_of(dir.write("empty", ""), ErrorKind::kInvalid), HasSubstr("is empty"));
}

TEST(MappedFile, DoesNotWaitForTheWriterOfAFifo) {
  const test::TempDir dir;
  ASSERT_EQ(::mkfifo(dir.file("fifo").c_str(), 0600), 0);
  EXPECT_THAT(error_of(dir.file("fifo"), ErrorKind::kInvalid), HasSubstr("not a regular file"));
}

TEST(MappedFile, ReleaseGivesMemoryBackAndKeepsTheBytesReadable) {
  constexpr std::size_t kBytes = 64u << 20;
  const test::TempDir dir;
  const auto file = MappedFile::open(dir.write("big", std::string(kBytes, 'x')));
  ASSERT_TRUE(file) << file.error().message;
  const auto all_x = [&] {
    std::size_t count = 0;
    for (const std::byte b : file->bytes()) count += b == std::byte{'x'};
    return count == kBytes;
  };
  ASSERT_TRUE(all_x());
  const std::size_t before = resident_bytes();
  file->release(file->bytes().subspan(1, kBytes - 2));
  EXPECT_LT(resident_bytes() + kBytes * 9 / 10, before);
  EXPECT_TRUE(all_x());
}

TEST(MappedFile, ReleaseIgnoresForeignMemory) {
  const test::TempDir dir;
  const auto file = MappedFile::open(dir.write("small", "x"));
  std::string own(1u << 20, 'o');
  file->release(std::as_bytes(std::span(own)));
  EXPECT_EQ(own, std::string(1u << 20, 'o'));
}

TEST(MappedFile, AFileThatIsShortenedReadsAsZerosAndSaysSo) {
  constexpr std::size_t kBytes = 1u << 20, kLeft = 100'000;
  const test::TempDir dir;
  const auto other = MappedFile::open(dir.write("other", std::string(kBytes, 'y')));
  const auto file = MappedFile::open(dir.write("big", std::string(kBytes, 'x')));
  ASSERT_TRUE(file && other);
  EXPECT_TRUE(file->check_whole());
  std::filesystem::resize_file(file->path(), kLeft);
  const std::string read = text_of(*file);
  EXPECT_EQ(read, std::string(kLeft, 'x') + std::string(kBytes - kLeft, '\0'));
  const Status whole = file->check_whole();
  ASSERT_FALSE(whole);
  EXPECT_EQ(whole.error().kind, ErrorKind::kIo);
  EXPECT_THAT(whole.error().message, StartsWith(file->path() + ": the file was shortened"));
  std::filesystem::resize_file(file->path(), kBytes);
  EXPECT_FALSE(file->check_whole()) << "what was read stays wrong";
  EXPECT_TRUE(other->check_whole());
  EXPECT_EQ(text_of(*other), std::string(kBytes, 'y'));
}

// Less than an OS page is missing: nothing faults, zeros are read.
TEST(MappedFile, AFewMissingBytesAreNoticedToo) {
  const test::TempDir dir;
  const auto file = MappedFile::open(dir.write("small", "hello"));
  ASSERT_TRUE(file);
  std::filesystem::resize_file(file->path(), 4);
  EXPECT_FALSE(file->check_whole());
}

TEST(MappedFile, AFileThatIsReplacedStaysWhole) {
  const test::TempDir dir;
  const auto file = MappedFile::open(dir.write("old", "hello"));
  ASSERT_TRUE(file);
  std::filesystem::rename(dir.write("new", "hi"), file->path());
  EXPECT_TRUE(file->check_whole());
  EXPECT_EQ(text_of(*file), "hello");
  std::filesystem::remove(file->path());
  EXPECT_TRUE(file->check_whole());
}

using MappedFileDeathTest = ::testing::Test;

TEST(MappedFileDeathTest, OtherBusErrorsStillEndTheProgram) {
  const test::TempDir dir;
  const auto file = MappedFile::open(dir.write("a", "hello"));
  ASSERT_TRUE(file);
  // A sanitizer's own handler reports the signal and exits.
  const auto ended = [](int status) {
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WIFEXITED(status) && WEXITSTATUS(status) != 0;
  };
  EXPECT_EXIT(
      {
        ::raise(SIGBUS);
        ::raise(SIGBUS);  // the first gave the signal back
        ::_exit(0);
      },
      ended, "");
}

}  // namespace
}  // namespace folio::platform
