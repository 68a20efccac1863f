// Which tokens end a generation, by the names models give them.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace folio::text {

// The ids of all known end-of-generation names that `find` knows. gpt-oss's <|end|> ends a message, not the
// generation, so it is left out where <|return|> exists.
[[nodiscard]] std::vector<TokenId> known_end_tokens(
    const std::function<std::optional<TokenId>(std::string_view)>& find);

[[nodiscard]] bool is_end_token_name(std::string_view stored_text);

}  // namespace folio::text
