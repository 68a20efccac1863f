#include "platform/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace folio::platform {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

ErrorKind kind_of(int error) {
  return error == ENOENT || error == ENOTDIR ? ErrorKind::kNotFound : ErrorKind::kIo;
}

Result<std::string> read_all(int fd, const std::string& name, std::size_t max_bytes) {
  constexpr std::size_t kChunkBytes = 1u << 16;
  std::string content;
  for (;;) {
    const std::size_t before = content.size();
    content.resize(before + kChunkBytes);
    ssize_t got = 0;
    do got = ::read(fd, content.data() + before, kChunkBytes);
    while (got < 0 && errno == EINTR);
    if (got < 0) return fail(ErrorKind::kIo, "{}: cannot be read: {}", name, std::strerror(errno));
    content.resize(before + static_cast<std::size_t>(got));
    if (content.size() > max_bytes)
      return fail(ErrorKind::kTooLarge, "{}: is longer than {} bytes, the most that is read", name,
                  max_bytes);
    if (got == 0) return content;
  }
}

// Removes the half-written file unless it got its name.
struct Temporary {
  std::string path;
  bool keep = false;
  ~Temporary() {
    if (!keep) ::unlink(path.c_str());
  }
};

Status write_all(int fd, std::string_view content, const std::string& name) {
  while (!content.empty()) {
    const ssize_t put = ::write(fd, content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(ErrorKind::kIo, "{}: cannot be written: {}", name, std::strerror(errno));
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

// Where the content goes in the end: the target of a link, so that the rename does not replace the link.
std::string resolve(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) return path;
  const auto target = std::filesystem::weakly_canonical(path, error);
  return error ? path : target.string();
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    const int error = errno;
    return fail(kind_of(error), "{}: cannot be opened: {}", path, std::strerror(error));
  }
  return read_all(file.fd, path, max_bytes);
}

Result<std::string> read_regular_file(const std::string& path, std::size_t max_bytes) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  if (file.fd < 0) {
    const int error = errno;
    return fail(kind_of(error), "{}: cannot be opened: {}", path, std::strerror(error));
  }
  struct stat status{};
  if (::fstat(file.fd, &status) != 0 || !S_ISREG(status.st_mode))
    return fail(ErrorKind::kInvalid, "{}: is not a regular file", path);
  return read_all(file.fd, path, max_bytes);
}

Result<std::string> read_standard_input(std::size_t max_bytes) {
  return read_all(STDIN_FILENO, "standard input", max_bytes);
}

Status write_file_atomically(const std::string& path, std::string_view content, FileAccess access) {
  const std::string target = resolve(path);
  std::error_code ignored;
  if (std::filesystem::is_directory(target, ignored))
    return fail(ErrorKind::kInvalid, "{}: is a directory, not a file", path);
  const mode_t mode = access == FileAccess::kOwner ? 0600 : 0666;
  Temporary temporary{fmt::format("{}.{}.new", target, ::getpid())};
  ::unlink(temporary.path.c_str());  // left by a process of the same id that was killed
  const Descriptor file{::open(temporary.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)};
  if (file.fd < 0) {
    const int error = errno;
    temporary.keep = true;  // there is nothing to remove
    return fail(kind_of(error), "{}: cannot be written: {}", path, std::strerror(error));
  }
  FOLIO_TRY_STATUS(write_all(file.fd, content, path));
  if (::fsync(file.fd) != 0 && errno != EINVAL)
    return fail(ErrorKind::kIo, "{}: cannot be written: {}", path, std::strerror(errno));
  if (::rename(temporary.path.c_str(), target.c_str()) != 0)
    return fail(ErrorKind::kIo, "{}: cannot be replaced: {}", path, std::strerror(errno));
  temporary.keep = true;
  return {};
}

Status make_private_folders(const std::string& path) {
  std::string made;
  for (std::size_t end = 0; end < path.size();) {
    end = std::min(path.find('/', end + 1), path.size());
    made = path.substr(0, end);
    if (::mkdir(made.c_str(), 0700) != 0 && errno != EEXIST)
      return fail(ErrorKind::kIo, "{}: the folder cannot be made: {}", made, std::strerror(errno));
  }
  return {};
}

}  // namespace folio::platform
