#include "app/chat/history.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/temp_dir.h"

namespace folio::app {
namespace {

using ::testing::ElementsAre;

TEST(History, KeepsLinesBetweenRunsForTheOwnerOnly) {
  const test::TempDir dir;
  const std::string path = dir.file("state/history");
  HistoryFile(path).append("one");
  HistoryFile(path).append("two");
  HistoryFile(path).append("two");
  HistoryFile(path).append("   ");
  HistoryFile(path).append(std::string(5000, 'x'));
  HistoryFile(path).append("bad \xff");
  EXPECT_THAT(HistoryFile(path).load(), ElementsAre("one", "two"));
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(History, IsBounded) {
  const test::TempDir dir;
  std::string content;
  for (std::size_t i = 0; i < kMaxHistoryLines + 50; ++i) content += fmt::format("line {}\n", i);
  const HistoryFile file(dir.write("history", content));
  file.append("last");
  const auto lines = file.load();
  ASSERT_EQ(lines.size(), kMaxHistoryLines);
  EXPECT_EQ(lines.front(), "line 51");
  EXPECT_EQ(lines.back(), "last");
}

TEST(History, AFolderThatCannotBeMadeIsNoError) {
  const test::TempDir dir;
  dir.write("file", "x");
  const HistoryFile file(dir.file("file/history"));
  file.append("one");
  EXPECT_TRUE(file.load().empty());
}

}  // namespace
}  // namespace folio::app
