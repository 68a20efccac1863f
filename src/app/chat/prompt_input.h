// Where a one-shot prompt comes from.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "app/options.h"
#include "base/result.h"

namespace folio::app {

inline constexpr std::size_t kMaxPromptBytes = 64u << 20;

// Errors: kInvalid naming `what` and the offset of the first byte that is not UTF-8.
[[nodiscard]] Status check_utf8(std::string_view text, std::string_view what);

// The prompt: -p, -f, or standard input where that is no terminal; nullopt: there is none, so chat. One line
// end at the end of a file or of standard input is dropped. Errors: a file that cannot be read, no UTF-8, an
// empty prompt in chat form; --raw without a prompt.
[[nodiscard]] Result<std::optional<std::string>> read_prompt(const RunOptions& options);

}  // namespace folio::app
