// The JSON header of a safetensors file, as a stream of events with one fixed shape; internal to
// safetensors.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace folio::weights {

struct SafetensorsLine {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  // data_offsets
  std::uint64_t end = 0;
  std::uint64_t at = 0;  // byte in the file near which the line starts, for messages
};

struct SafetensorsLines {
  std::vector<SafetensorsLine> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// `json` starts at byte `at` of the file. Checks the JSON and the presence and kind of every field, not their
// meaning.
Result<SafetensorsLines> read_safetensors_header(std::string_view json, std::uint64_t at,
                                                 std::string_view source);

}  // namespace folio::weights
