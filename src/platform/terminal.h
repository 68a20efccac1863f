// Standard streams and the terminal behind them.
//
// Output goes straight to the system, unbuffered: what was written is on its way, and every failure is seen.
// Threads: any, one writer per stream.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"

namespace folio::platform {

enum class Stream { kInput = 0, kOutput = 1, kError = 2 };

[[nodiscard]] bool is_terminal(Stream stream);

// Columns of the terminal; 80 where that is unknown.
[[nodiscard]] std::size_t terminal_columns(Stream stream);

// All of `text`. Errors: kIo; a reader that is gone (closed pipe) says so. Requires ignore_broken_pipes()
// before.
[[nodiscard]] Status write(Stream stream, std::string_view text);

// A write to a pipe that nobody reads becomes an error of write() instead of the end of the process. At
// start-up.
void ignore_broken_pipes();

}  // namespace folio::platform
