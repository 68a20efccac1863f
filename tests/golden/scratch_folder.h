// A temporary folder of links to existing files, under names of our choice; removed with the object.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

namespace folio::golden {

class ScratchFolder {
 public:
  using Links =
      std::vector<std::pair<std::filesystem::path, std::string>>;  // existing file, name in the folder

  static ScratchFolder with_links(const Links& links) {
    ScratchFolder folder;
    std::string pattern = (std::filesystem::temp_directory_path() / "folio-golden-XXXXXX").string();
    folder.path_ = mkdtemp(pattern.data());
    for (const auto& [file, name] : links)
      std::filesystem::create_symlink(std::filesystem::absolute(file), folder.path_ / name);
    return folder;
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  ScratchFolder() = default;
  std::filesystem::path path_;
};

}  // namespace folio::golden
