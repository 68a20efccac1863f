// GGUF metadata -> Vocabulary: the one place that knows the `tokenizer.ggml.*` keys.
#pragma once

#include "base/result.h"
#include "base/vocabulary.h"
#include "weights/gguf_metadata.h"

namespace folio::weights {

// The result's views point into the bytes behind `metadata`. A file without `tokenizer.ggml.model` gives
// model "none". Keys of the wrong type are kInvalid and named; lengths and ids are checked by
// Tokenizer::from_vocabulary.
[[nodiscard]] Result<Vocabulary> gguf_vocabulary(const GgufMetadata& metadata);

}  // namespace folio::weights
