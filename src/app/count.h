// Counts and sizes as flags take them.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"

namespace folio::app {

// "4096", "1k" = 1000, "1K" = 1024, "25.6k"; also m, g, t. Errors: anything else, fractions of one, 2^53 and
// more.
[[nodiscard]] Result<std::size_t> parse_count(std::string_view flag, std::string_view text);

// --memory, in the words of every command that loads a model.
inline constexpr const char* kMemoryHelp =
    "memory of everything together at most, e.g. 8G: weights, KV cache and\nthe rest (default: what the "
    "machine, "
    "its cgroups and ulimit allow)";

}  // namespace folio::app
