#include "model/architectures.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace folio::model {

bool is_supported_gguf(std::string_view architecture) {
  return std::ranges::find(kGgufArchitectures, architecture) != kGgufArchitectures.end();
}

bool is_supported_hf(std::string_view architecture) {
  return std::ranges::find(kHfArchitectures, architecture) != kHfArchitectures.end();
}

std::unexpected<Error> unsupported_architecture(std::string_view source, std::string_view architecture) {
  return fail(ErrorKind::kUnsupported,
              "{}: architecture '{}' is not supported; supported are {} (GGUF) and {} (Hugging Face)", source,
              architecture, fmt::join(kGgufArchitectures, ", "), fmt::join(kHfArchitectures, ", "));
}

}  // namespace folio::model
