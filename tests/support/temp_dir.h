// A directory of its own for one test, removed at its end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace folio::test {

class TempDir {
 public:
  TempDir() {
    std::string form = (std::filesystem::temp_directory_path() / "folio-test-XXXXXX").string();
    path_ = ::mkdtemp(form.data()) != nullptr ? form : std::string();
    EXPECT_FALSE(path_.empty()) << "no temporary directory";
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return (std::filesystem::path(path_) / name).string(); }

  // Writes a file and returns its path.
  std::string write(std::string_view name, std::string_view content) const {
    std::string path = file(name);
    std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
    return path;
  }

 private:
  std::string path_;
};

}  // namespace folio::test
