#include "platform/locked_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace folio::platform {
namespace {

enum class Lock { kTaken, kHeld };

Result<Lock> lock(int fd, const std::string& path, LockedFile::IfLocked if_locked) {
  const int operation = LOCK_EX | (if_locked == LockedFile::IfLocked::kGiveUp ? LOCK_NB : 0);
  int failed = 0;
  do failed = ::flock(fd, operation);
  while (failed != 0 && errno == EINTR);
  if (failed == 0 || errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS) return Lock::kTaken;
  if (errno == EWOULDBLOCK) return Lock::kHeld;
  return fail(ErrorKind::kIo, "{}: cannot be locked: {}", path, std::strerror(errno));
}

// Whether `path` still names the file that is open.
bool is_named(const struct stat& open, const std::string& path) {
  struct stat named{};
  return ::lstat(path.c_str(), &named) == 0 && named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

std::unexpected<Error> write_error(const std::string& path) {
  return fail(ErrorKind::kIo, "{}: cannot be written: {}", path, std::strerror(errno));
}

}  // namespace

Result<std::optional<LockedFile>> LockedFile::open(const std::string& path, IfLocked if_locked) {
  constexpr int kMostTurns = 100;  // each time another process had it, and renamed or removed it
  for (int turn = 0; turn < kMostTurns; ++turn) {
    // Without O_NONBLOCK a FIFO would wait for its other end.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
      return fail(ErrorKind::kInvalid, "{}: is not a regular file; remove it", path);
    if (fd < 0) return write_error(path);
    LockedFile file(path, fd, 0);
    struct stat status{};
    if (::fstat(fd, &status) != 0) return write_error(path);
    if (!S_ISREG(status.st_mode))
      return fail(ErrorKind::kInvalid, "{}: is not a regular file; remove it", path);
    FOLIO_TRY(taken, lock(fd, path, if_locked));
    if (taken == Lock::kHeld) return std::optional<LockedFile>();
    if (::fstat(fd, &status) != 0) return write_error(path);
    if (!is_named(status, path)) continue;  // its holder gave it another name or removed it
    file.bytes_ = static_cast<std::uint64_t>(status.st_size);
    return std::optional<LockedFile>(std::move(file));
  }
  return fail(ErrorKind::kIo, "{}: other processes replace it again and again", path);
}

LockedFile::LockedFile(LockedFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_) {}

LockedFile& LockedFile::operator=(LockedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

LockedFile::~LockedFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status LockedFile::append(std::string_view content) {
  while (!content.empty()) {
    const ssize_t put = ::pwrite(fd_, content.data(), content.size(), static_cast<off_t>(bytes_));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return write_error(path_);
    bytes_ += static_cast<std::uint64_t>(put);
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Status LockedFile::cut(std::uint64_t bytes) {
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return write_error(path_);
  bytes_ = bytes;
  return {};
}

Result<std::string_view> LockedFile::read(std::uint64_t offset, std::string& room) const {
  ssize_t got = 0;
  do got = ::pread(fd_, room.data(), room.size(), static_cast<off_t>(offset));
  while (got < 0 && errno == EINTR);
  if (got < 0) return fail(ErrorKind::kIo, "{}: cannot be read: {}", path_, std::strerror(errno));
  return std::string_view(room.data(), static_cast<std::size_t>(got));
}

Status LockedFile::rename_to(const std::string& path) {
  if (::fsync(fd_) != 0 && errno != EINVAL) return write_error(path_);
  if (::rename(path_.c_str(), path.c_str()) != 0)
    return fail(ErrorKind::kIo, "{}: cannot be named: {}", path, std::strerror(errno));
  path_ = path;
  return {};
}

void LockedFile::remove() { ::unlink(path_.c_str()); }

}  // namespace folio::platform
