#include "platform/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>
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

std::uintptr_t os_page_bytes() {
  static const auto bytes = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

// One mapping, for a handler that may neither lock nor allocate.
struct MappedFile::Guard {
  std::atomic<std::uintptr_t> begin{0}, end{0};  // 0: free
  std::atomic<bool> cut{false};                  // a page was missing

  static constexpr std::size_t kMost = 16384;  // mappings at one time
  static std::array<Guard, kMost> all;
  static struct sigaction before;

  // nullptr: all are in use.
  static Guard* take(std::uintptr_t begin, std::size_t bytes);
  void give_back() { begin = 0; }
  static void install();
  // Puts zeros in the place of `address` and what follows it in its mapping; false if it is in none.
  static bool replace(std::uintptr_t address);
};

std::array<MappedFile::Guard, MappedFile::Guard::kMost> MappedFile::Guard::all{};
struct sigaction MappedFile::Guard::before{};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free, "a signal handler reads it");

MappedFile::Guard* MappedFile::Guard::take(std::uintptr_t begin, std::size_t bytes) {
  static std::mutex taking;
  const std::lock_guard lock(taking);
  for (Guard& guard : all) {
    if (guard.begin != 0) continue;
    guard.cut = false;
    guard.end = begin + bytes;
    guard.begin = begin;  // last: from here on the handler counts it
    return &guard;
  }
  return nullptr;
}

bool MappedFile::Guard::replace(std::uintptr_t address) {
  for (Guard& guard : all) {
    const std::uintptr_t begin = guard.begin, end = guard.end;
    if (begin == 0 || address < begin || address >= end) continue;
    const std::uintptr_t first = address / os_page_bytes() * os_page_bytes();
    void* const zeros = ::mmap(reinterpret_cast<void*>(first), end - first, PROT_READ,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    guard.cut = true;
    return zeros != MAP_FAILED;
  }
  return false;
}

void MappedFile::Guard::install() {
  static std::once_flag once;
  std::call_once(once, [] {
    os_page_bytes();  // not first in the handler
    struct sigaction action{};
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      const int error = errno;
      const bool replaced = replace(reinterpret_cast<std::uintptr_t>(info->si_addr));
      errno = error;
      // Of no mapping: the access repeats and meets what was there before.
      if (!replaced) ::sigaction(SIGBUS, &before, nullptr);
    };
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &before);
  });
}

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
  Guard::install();
  Guard* const guard = Guard::take(reinterpret_cast<std::uintptr_t>(data), size);
  if (guard == nullptr) {
    ::munmap(data, size);
    return fail(ErrorKind::kTooLarge, "{}: more than {} files are open at the same time", path, Guard::kMost);
  }
  return MappedFile(path, {static_cast<const std::byte*>(data), size},
                    {.device = status.st_dev, .inode = status.st_ino}, guard);
}

MappedFile::MappedFile(std::string path, std::span<const std::byte> bytes, Identity identity, Guard* guard)
    : path_(std::move(path)), data_(bytes.data()), size_(bytes.size()), identity_(identity), guard_(guard) {}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      identity_(other.identity_),
      guard_(std::exchange(other.guard_, nullptr)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(identity_, other.identity_);
  std::swap(guard_, other.guard_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  guard_->give_back();
  ::munmap(const_cast<std::byte*>(data_), size_);
}

Status MappedFile::check_whole() const {
  struct stat now{};
  // A file that was replaced by another of its name is whole: the mapping keeps the old one.
  const bool shorter = ::stat(path_.c_str(), &now) == 0 && now.st_dev == identity_.device &&
                       now.st_ino == identity_.inode && static_cast<std::uint64_t>(now.st_size) < size_;
  if (!shorter && !guard_->cut) return {};
  return fail(ErrorKind::kIo,
              "{}: the file was shortened while it was read; load it when all of its {} bytes are there",
              path_, size_);
}

void MappedFile::release(std::span<const std::byte> range) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(range.data());
  const auto end = begin + range.size();
  const auto mapping = reinterpret_cast<std::uintptr_t>(data_);
  if (begin < mapping || end > mapping + size_) return;
  const std::uintptr_t granule = os_page_bytes();
  const auto first = (begin + granule - 1) / granule * granule;
  const auto last = end / granule * granule;
  if (first >= last) return;
  ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace folio::platform
