// Names of the files of a split model: PREFIX-00002-of-00003.gguf.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace folio::weights {

struct SplitName {
  std::string prefix;
  std::uint32_t number;  // from 1
  std::uint32_t parts;
};

// nullopt if the file name is not of that form, or 1 <= number <= parts does not hold.
std::optional<SplitName> parse_split_name(std::string_view path);

std::string split_name(const SplitName& name);

}  // namespace folio::weights
