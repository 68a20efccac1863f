// Checks a model with published greedy text: a folder with golden.txt, golden.json ({"cases": [{prompt_ids,
// max_tokens, ids, text}]}) and one *.gguf. golden.txt is what the model prints for the first case.
#pragma once

#include <filesystem>
#include <vector>

#include "golden/golden_line.h"

namespace folio::golden {

bool is_story_folder(const std::filesystem::path& folder);
std::vector<GoldenLine> check_story(const std::filesystem::path& folder);

}  // namespace folio::golden
