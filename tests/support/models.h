// The small models that tests of whole generations run on.
#pragma once

#include <string>
#include <vector>

#include "support/fixtures.h"

namespace folio::test {

inline const std::string kStories = fixture("stories260k/stories260k.gguf");
// Every kind of arithmetic and cache shape that a llama has: float weights with GQA and tiny heads, YaRN and
// head size 32, and the integer path.
inline const std::vector<std::string> kModels = {kStories, fixture("llama-rope-yarn/model.gguf"),
                                                 fixture("quant-llama/model-Q4_1.gguf"),
                                                 fixture("quant-llama/model-Q8_0.gguf")};

}  // namespace folio::test
