// One door for all model formats: looks at what a path holds, never at its name alone.
#pragma once

#include <string>
#include <variant>

#include "base/hash.h"
#include "base/result.h"
#include "weights/gguf.h"
#include "weights/hf_model.h"

namespace folio::weights {

using AnyModel = std::variant<GgufModel, HfModel>;

// A directory with config.json -> HfModel; a file that starts with GGUF's magic -> GgufModel. Anything else
// is an error that says what the file seems to be (a lone safetensors file, a web page, a Git LFS pointer, an
// archive) and what to give instead.
Result<AnyModel> open_model(const std::string& path);

const TensorStore& tensors_of(const AnyModel& model);

// A name for all that the files say besides the tensors' bytes, whether folio reads it or not: the heads of
// GGUF files, the values of config.json in their order. Cost: reads them again, some MB for a large
// vocabulary.
Hash128 description_digest(const AnyModel& model);

}  // namespace folio::weights
