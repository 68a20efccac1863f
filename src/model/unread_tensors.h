// Which tensors of a file a model may leave unread. Anything else that nothing reads is part of an
// architecture that folio does not compute: its answers would be fluent and wrong.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace folio::model {

// True for what a text model computes without: tables that follow from the configuration (RoPE frequencies,
// causal masks, position numbers), towers for pictures and sound, and heads that predict further tokens. By
// the names that Hugging Face's and GGUF's files give them.
bool may_stay_unread(std::string_view name, std::span<const std::uint64_t> shape);

}  // namespace folio::model
