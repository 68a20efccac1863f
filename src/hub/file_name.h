// Names of the parts that a large model is split into.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace folio::hub {

struct PartName {
  std::string_view stem;  // "a" of "a-00002-of-00003.gguf"
  std::size_t number = 0, parts = 0;
};

// nullopt: `path` is no part of something, but a file of its own.
[[nodiscard]] std::optional<PartName> part_of_name(std::string_view path);

}  // namespace folio::hub
