#include "platform/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace folio::platform {
namespace {

// Closes a descriptor at the end of a scope; the mapping does not need it any longer.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

ErrorKind kind_of(int error) {
  return error == ENOENT || error == ENOTDIR ? ErrorKind::kNotFound : ErrorKind::kIo;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    const int error = errno;
    return fail(kind_of(error), "{}: cannot be opened: {}", path, std::strerror(error));
  }
  struct stat status{};
  if (::fstat(file.fd, &status) != 0)
    return fail(ErrorKind::kIo, "{}: cannot be read: {}", path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) return fail(ErrorKind::kInvalid, "{}: is a directory, not a file", path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::kInvalid, "{}: is not a regular file", path);
  if (status.st_size <= 0) return fail(ErrorKind::kInvalid, "{}: the file is empty", path);

  const auto size = static_cast<std::size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) {
    return fail(ErrorKind::kIo, "{}: {} bytes cannot be mapped: {}", path, size, std::strerror(errno));
  }
  ::madvise(data, size, MADV_SEQUENTIAL);  // read ahead further; loading goes front to back. Best effort.
  return MappedFile(path, static_cast<const std::byte*>(data), size);
}

MappedFile::MappedFile(std::string path, const std::byte* data, std::size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> range) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(range.data());
  const auto end = begin + range.size();
  const auto mapping = reinterpret_cast<std::uintptr_t>(data_);
  if (begin < mapping || end > mapping + size_) return;
  const auto granule = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = (begin + granule - 1) / granule * granule;
  const auto last = end / granule * granule;
  if (first >= last) return;
  ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace folio::platform
