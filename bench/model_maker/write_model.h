// A recipe becomes a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "recipe.h"

namespace folio::model_maker {

struct WriteOptions {
  std::string path;
  std::uint64_t seed = 1;
  int threads = 1;  // they do not change a byte
  std::function<void(std::size_t done_bytes, std::size_t total_bytes)> progress;
};

// Writes beside the path and renames, so that the file is whole or absent. Memory: one buffer of 64 MB, and
// one row of the widest tensor for each thread. Errors: more bytes than the disk has free; what the system
// refuses, with the path; nothing is left of the file then.
[[nodiscard]] Status write_model(const Recipe& recipe, const WriteOptions& options);

}  // namespace folio::model_maker
