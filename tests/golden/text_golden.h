// Checks tokenizers and chat templates against folders of expected results, for any set laid out like the
// ones here:
//   tokenizers      NAME.gguf or NAME.tokenizer.json[.gz] (with NAME.tokenizer_config.json), NAME.cases.json
//   and/or
//                   NAME.gguf.inp + NAME.gguf.out
//   chat templates  NAME.jinja and cases.jsonl
// Errors never throw; a broken file is a failing line.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "golden/golden_line.h"

namespace folio::golden {

// Does the folder hold such a set? (For a caller that is given folders of any kind.)
[[nodiscard]] bool has_tokenizers(const std::filesystem::path& folder);
[[nodiscard]] bool has_templates(const std::filesystem::path& folder);

// One line per vocabulary / template, in order of name.
[[nodiscard]] std::vector<GoldenLine> check_tokenizers(const std::filesystem::path& folder);
[[nodiscard]] std::vector<GoldenLine> check_templates(const std::filesystem::path& folder);

// A file {"cases": [{text, tokens}]} of the encodings that one GGUF model's tokenizer must give (special
// tokens in the text parsed, nothing added).
[[nodiscard]] GoldenLine check_tokenizer_file(const std::filesystem::path& cases,
                                              const std::filesystem::path& gguf);

}  // namespace folio::golden
