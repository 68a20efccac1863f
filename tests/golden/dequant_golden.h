// Checks dequantize() against a folder of files TYPE.safetensors, each with `blocks` u8 [n, bytes], `values`
// f32 [n, elements] and the metadata `type_id`, `block` and `bytes`.
#pragma once

#include <string>
#include <vector>

#include "golden/golden_line.h"

namespace folio::golden {

// Whether the folder holds at least one *.safetensors file with `blocks` and `values`.
bool is_dequant_folder(const std::string& directory);

// One line per file, sorted by name. Passes where every value differs by at most one float32 rounding; the
// detail gives the largest error in units of the last place and how many values are bit-equal. A file that
// cannot be read, or names a type or sizes that folio does not know, fails. Without any file: one failing
// line.
std::vector<GoldenLine> check_dequant(const std::string& directory);

}  // namespace folio::golden
