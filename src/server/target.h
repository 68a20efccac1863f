// What stands behind the method in a request's first line (RFC 9112, 3.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace folio::server {

struct Target {
  std::string path;       // decoded, before '?', without a slash at its end; "/" and "*" as they are
  std::string authority;  // of the absolute form, "localhost:8000"; else empty
};

// "/v1/models?x", "http://localhost:8000/v1/models" and "*". nullopt: anything else, a percent sign without
// two hexadecimal digits, or a control character.
[[nodiscard]] std::optional<Target> parse_target(std::string_view target);

}  // namespace folio::server
