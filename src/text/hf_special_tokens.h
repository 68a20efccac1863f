// What the small files beside a tokenizer.json say of special tokens, read as transformers reads them. Private to
// src/text/.
//
// Order: the `added_tokens_decoder` of tokenizer_config.json; in folders that have none (older ones),
// special_tokens_map.json over tokenizer_config.json, and added_tokens.json. Ids that end an answer:
// generation_config.json's eos_token_id, else config.json's (or that of its text_config); one id or a list.
// Nothing here is fatal but a file that is no JSON object: what makes no sense is left out and said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace folio::text {

struct HfSpecialTokens {
  std::optional<std::string> bos, eos, unk, pad;  // texts
  std::string added_json;                         // array for folio_tokenizer_from_json
  std::int8_t add_bos = -1, add_eos = -1;         // -1: as tokenizer.json's post-processor does
  std::vector<std::int64_t> end_ids;              // unchecked
  std::string end_ids_file;                       // that they come from
  std::size_t model_vocab_size = 0;               // of config.json; 0: it does not say
  std::vector<std::string> warnings;              // one sentence each
};

// kInvalid names the file that is not a JSON object.
[[nodiscard]] Result<HfSpecialTokens> read_hf_special_tokens(const HfTexts& texts);

}  // namespace folio::text
