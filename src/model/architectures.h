// The architectures folio runs, by the names of both file formats.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::model {

inline constexpr std::array<std::string_view, 1> kGgufArchitectures = {"llama"};
inline constexpr std::array<std::string_view, 2> kHfArchitectures = {"LlamaForCausalLM",
                                                                     "MistralForCausalLM"};

bool is_supported_gguf(std::string_view architecture);
bool is_supported_hf(std::string_view architecture);

// The sentence for one that is not: names it and lists those that are.
[[nodiscard]] std::unexpected<Error> unsupported_architecture(std::string_view source,
                                                              std::string_view architecture);

}  // namespace folio::model
