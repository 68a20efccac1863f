#include "api/field_values.h"

#include <cmath>
#include <limits>
#include <optional>

namespace folio::api {
namespace {

// The value as a whole number, if it is one.
std::optional<std::int64_t> whole(const Json& value) {
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return std::nullopt;
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double real = value.get<double>();
  if (!(std::abs(real) < 9e15) || std::trunc(real) != real) return std::nullopt;
  return static_cast<std::int64_t>(real);
}

}  // namespace

Checked<double> read_number(const Json& value, std::string_view name, double first, double last) {
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (!(number >= first && number <= last))
    return refuse_field(name, "takes a number from {} to {}, not {}", first, last, shown(value));
  return number;
}

Checked<std::int64_t> read_whole(const Json& value, std::string_view name, std::int64_t first,
                                 std::int64_t last) {
  const auto number = whole(value);
  if (!number || *number < first || *number > last)
    return refuse_field(name, "takes a whole number from {} to {}, not {}", first, last, shown(value));
  return *number;
}

Checked<bool> read_flag(const Json& value, std::string_view name) {
  if (!value.is_boolean()) return refuse_field(name, "takes true or false, not {}", shown(value));
  return value.get<bool>();
}

Checked<std::string> read_text(const Json& value, std::string_view name) {
  if (!value.is_string()) return refuse_field(name, "takes a text, not {}", shown(value));
  return value.get<std::string>();
}

Checked<std::vector<std::string>> read_texts(const Json& value, std::string_view name,
                                             TextListLimits limits) {
  const bool is_list = value.is_array();
  const std::size_t count = is_list ? value.size() : 1;
  if (count > limits.most) return refuse_field(name, "takes at most {} texts, not {}", limits.most, count);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    const Json& entry = is_list ? value[i] : value;
    FOLIO_ASK(text, read_text(entry, name));
    if (text.empty()) return refuse_field(name, "takes texts that are not empty");
    if (text.size() > limits.most_bytes)
      return refuse_field(name, "takes texts of at most {} bytes, not of {}", limits.most_bytes, text.size());
    texts.push_back(std::move(text));
  }
  return texts;
}

Checked<std::vector<TokenId>> read_tokens(const Json& value, std::string_view name) {
  if (!value.is_array()) return refuse_field(name, "takes a list of token ids, not {}", shown(value));
  std::vector<TokenId> tokens;
  tokens.reserve(value.size());
  for (const Json& entry : value) {
    FOLIO_ASK(id, read_whole(entry, name, 0, std::numeric_limits<std::int32_t>::max()));
    tokens.push_back(TokenId{static_cast<std::int32_t>(id)});
  }
  return tokens;
}

}  // namespace folio::api
