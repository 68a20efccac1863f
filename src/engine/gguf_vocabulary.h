// GGUF metadata -> text::Vocabulary: the one place that knows the `tokenizer.ggml.*` keys.
#pragma once

#include "base/result.h"
#include "text/vocabulary.h"
#include "weights/gguf_metadata.h"

namespace folio::engine {

// The result's views point into the bytes behind `metadata`. A file without `tokenizer.ggml.model` gives
// model "none". Keys of the wrong type are kInvalid and named; lengths and ids are checked by
// Tokenizer::from_vocabulary.
[[nodiscard]] Result<text::Vocabulary> gguf_vocabulary(const weights::GgufMetadata& metadata);

}  // namespace folio::engine
