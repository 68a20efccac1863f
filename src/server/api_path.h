// The spellings of a path that clients have: without /v1 (a base URL that lacks it), as Azure's deployments,
// with a slash at the end.
#pragma once

#include <string>
#include <string_view>

namespace folio::server {

// "/chat/completions", "/openai/deployments/NAME/chat/completions" and "/v1/chat/completions/" are all
// "/v1/chat/completions"; a path that is nothing of the kind is itself.
[[nodiscard]] std::string api_path(std::string_view path);

}  // namespace folio::server
