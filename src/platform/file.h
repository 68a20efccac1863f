// Small files as a whole: read with a limit, written all or nothing.
// Threads: any. Errors: kNotFound or kIo with the path first and the system's reason; kTooLarge beyond the
// limit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::platform {

enum class FileAccess {
  kOwner,
  kEveryone
};  // who may read a file that is written: mode 0600, or 0666 less the umask

// The whole of a regular file, FIFO or device. Errors: a directory, more than `max_bytes`.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t max_bytes);

// The same of a regular file only, for files that others put where they are looked for: a FIFO would wait for
// its other end. Errors: anything else of that name.
[[nodiscard]] Result<std::string> read_regular_file(const std::string& path, std::size_t max_bytes);

// The same for standard input, to its end.
[[nodiscard]] Result<std::string> read_standard_input(std::size_t max_bytes);

// Writes beside the file and renames: whoever looks sees the old content or the new, also after a crash. A
// symbolic link is followed, so that the file it names is replaced and the link stays. Makes no folders.
[[nodiscard]] Status write_file_atomically(const std::string& path, std::string_view content,
                                           FileAccess access);

// Makes the folder and those above it, private to the user where they are new. Fine if it is there.
[[nodiscard]] Status make_private_folders(const std::string& path);

}  // namespace folio::platform
