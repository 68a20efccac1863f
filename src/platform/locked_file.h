// LockedFile: a regular file that one process at a time writes. The lock ends with the object or the process,
// so a crash leaves no lock behind.
//
// Ownership: owns the descriptor; move-only. Threads: one. Errors: kIo with the path first and the system's
// reason; kInvalid for what is no regular file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::platform {

class LockedFile {
 public:
  enum class IfLocked { kGiveUp, kWait };
  // Opens or creates `path`, of which a symbolic link is not followed, and locks it. nullopt: another process
  // holds the lock (kGiveUp only). While a lock was waited for, its holder may have renamed or removed the
  // file; what is returned is the file of that name. Where the file system has no locks, nobody waits.
  [[nodiscard]] static Result<std::optional<LockedFile>> open(const std::string& path, IfLocked if_locked);

  LockedFile(LockedFile&& other) noexcept;
  LockedFile& operator=(LockedFile&& other) noexcept;
  ~LockedFile();

  std::uint64_t bytes() const { return bytes_; }
  // At the end.
  [[nodiscard]] Status append(std::string_view content);
  [[nodiscard]] Status clear() { return cut(0); }
  // Keeps the first `bytes`.
  [[nodiscard]] Status cut(std::uint64_t bytes);
  // Up to `room.size()` bytes from `offset` on; none at the end.
  [[nodiscard]] Result<std::string_view> read(std::uint64_t offset, std::string& room) const;
  // What was written is on the disk, then the file has the name `path`, replacing what had it.
  [[nodiscard]] Status rename_to(const std::string& path);
  void remove();

 private:
  LockedFile(std::string path, int fd, std::uint64_t bytes)
      : path_(std::move(path)), fd_(fd), bytes_(bytes) {}

  std::string path_;
  int fd_ = -1;
  std::uint64_t bytes_ = 0;
};

}  // namespace folio::platform
