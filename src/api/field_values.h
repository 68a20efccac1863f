// The value of one field, checked: each reader names the field and its range when it refuses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/json.h"
#include "base/ids.h"

namespace folio::api {

[[nodiscard]] Checked<double> read_number(const Json& value, std::string_view name, double first,
                                          double last);
// Also 3.0: some clients know only one kind of number.
[[nodiscard]] Checked<std::int64_t> read_whole(const Json& value, std::string_view name, std::int64_t first,
                                               std::int64_t last);
[[nodiscard]] Checked<bool> read_flag(const Json& value, std::string_view name);
[[nodiscard]] Checked<std::string> read_text(const Json& value, std::string_view name);
// Not empty, none longer than `most_bytes`, at most `most` of them; a text alone is a list of one.
struct TextListLimits {
  std::size_t most;
  std::size_t most_bytes = 4096;
};
[[nodiscard]] Checked<std::vector<std::string>> read_texts(const Json& value, std::string_view name,
                                                           TextListLimits limits);
// A list of whole numbers; whether they are in the vocabulary is for others to say.
[[nodiscard]] Checked<std::vector<TokenId>> read_tokens(const Json& value, std::string_view name);

}  // namespace folio::api
