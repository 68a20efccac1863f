// Names of models: what a person writes, as a repository of the hub, a file in it, or a URL.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::hub {

struct Reference {
  std::string repository;  // "organisation/name"; empty: `url` is all
  std::string file;        // a path in it, or a part of one ("Q4_K_M"); empty: choose
  std::string url;
};

// "organisation/name", "hf://organisation/name", either with ":file" behind it, or an http(s) URL of one
// file. What is accepted is safe as a path below a folder. Errors: everything else, saying what is expected.
[[nodiscard]] Result<Reference> parse_reference(std::string_view text);

// No empty part, none that begins with a dot, no backslash, nothing that steers a terminal or turns its text
// around (control characters, C1 and bidirectional ones of Unicode too).
[[nodiscard]] bool is_safe_path(std::string_view path);

}  // namespace folio::hub
