// MappedFile: a regular file, read-only in memory for as long as the object lives.
//
// Ownership: owns the mapping; move-only; moving keeps the address, so spans into bytes() stay valid.
// Threads: const use from any thread. Cost: open() maps and reads nothing; the first touch of a byte reads
// it.
//
// A file that another process shortens while it is mapped ends nobody: what is missing reads as zeros, and
// check_whole() says so. Whoever acts on bytes() asks it after reading them. (The first open() installs a
// handler for SIGBUS, which the OS raises then; one that has another cause does what it did before.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace folio::platform {

class MappedFile {
 public:
  // Errors: no such file or no permission, a directory, anything else that is no regular file (FIFO, device,
  // socket), an empty file, no address space left. The message starts with the path.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Errors: kIo if the file was shortened since open(), so that bytes() may hold zeros of no file. Cost: one
  // look at the file's entry.
  [[nodiscard]] Status check_whole() const;

  // Gives back the memory of the OS pages that lie wholly inside `range`; touching them reads the file again.
  // A range outside this mapping is ignored.
  void release(std::span<const std::byte> range) const;

 private:
  struct Guard;
  struct Identity {
    std::uint64_t device = 0, inode = 0;
  };
  MappedFile(std::string path, std::span<const std::byte> bytes, Identity identity, Guard* guard);

  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  Identity identity_;
  Guard* guard_ = nullptr;  // tells the handler of this mapping, and us of what it met
};

}  // namespace folio::platform
