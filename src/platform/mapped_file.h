// MappedFile: a regular file, read-only in memory for as long as the object lives.
//
// Ownership: owns the mapping; move-only; moving keeps the address, so spans into bytes() stay valid.
// Threads: const use from any thread. Cost: open() maps and reads nothing; the first touch of a byte reads
// it. Not covered: another process that shortens the file while it is mapped makes the OS raise SIGBUS.
#pragma once

#include <cstddef>
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

  // Gives back the memory of the OS pages that lie wholly inside `range`; touching them reads the file again.
  // A range outside this mapping is ignored.
  void release(std::span<const std::byte> range) const;

 private:
  MappedFile(std::string path, const std::byte* data, std::size_t size);

  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace folio::platform
