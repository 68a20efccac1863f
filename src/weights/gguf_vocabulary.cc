#include "weights/gguf_vocabulary.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace folio::weights {
namespace {

// The Phi-3 family's tokenizer swallows white space after its control tokens; the file does not say so, its
// name does.
bool is_phi3(const GgufMetadata& metadata) {
  std::string name;
  for (const char* key : {"general.name", "general.architecture"}) {
    const auto value = metadata.find_string(key);
    if (value && *value) name.append(**value).push_back(' ');
  }
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.contains("phi-3") || name.contains("phi3");
}

Status read_ids(const GgufMetadata& metadata, Vocabulary& vocabulary) {
  const std::pair<const char*, std::optional<std::uint32_t>*> ids[] = {
      {"tokenizer.ggml.bos_token_id", &vocabulary.bos_id},
      {"tokenizer.ggml.eos_token_id", &vocabulary.eos_id},
      {"tokenizer.ggml.eot_token_id", &vocabulary.eot_id},
      {"tokenizer.ggml.eom_token_id", &vocabulary.eom_id},
      {"tokenizer.ggml.unknown_token_id", &vocabulary.unk_id},
      {"tokenizer.ggml.padding_token_id", &vocabulary.pad_id}};
  for (const auto& [key, id] : ids) {
    FOLIO_TRY(found, metadata.find_u32(key));
    // Some converters write -1 (as unsigned) for "none".
    if (found && *found != 0xFFFFFFFFu) *id = *found;
  }
  return {};
}

Status read_flags(const GgufMetadata& metadata, Vocabulary& vocabulary) {
  const std::pair<const char*, std::optional<bool>*> flags[] = {
      {"tokenizer.ggml.add_bos_token", &vocabulary.add_bos},
      {"tokenizer.ggml.add_eos_token", &vocabulary.add_eos},
      {"tokenizer.ggml.add_space_prefix", &vocabulary.add_space_prefix},
      {"tokenizer.ggml.remove_extra_whitespaces", &vocabulary.remove_extra_whitespaces}};
  for (const auto& [key, flag] : flags) {
    FOLIO_TRY(found, metadata.find_bool(key));
    *flag = found;
  }
  return {};
}

}  // namespace

Result<Vocabulary> gguf_vocabulary(const GgufMetadata& metadata) {
  Vocabulary vocabulary;
  FOLIO_TRY(model, metadata.find_string("tokenizer.ggml.model"));
  vocabulary.model = model ? std::string(*model) : "none";
  const bool has_tokens = metadata.contains("tokenizer.ggml.tokens");
  if (vocabulary.model == "none" && !has_tokens) return vocabulary;

  FOLIO_TRY(pre, metadata.find_string("tokenizer.ggml.pre"));
  if (pre) vocabulary.pre = std::string(*pre);
  FOLIO_TRY(tokens, metadata.get_string_array("tokenizer.ggml.tokens"));
  vocabulary.tokens.assign(tokens.begin(), tokens.end());
  FOLIO_TRY(scores, metadata.find_f32_array("tokenizer.ggml.scores"));
  if (scores) vocabulary.scores = std::move(*scores);
  FOLIO_TRY(types, metadata.find_i32_array("tokenizer.ggml.token_type"));
  if (types) vocabulary.token_types = std::move(*types);
  if (metadata.contains("tokenizer.ggml.merges")) {
    FOLIO_TRY(merges, metadata.get_string_array("tokenizer.ggml.merges"));
    vocabulary.merges.assign(merges.begin(), merges.end());
  }
  FOLIO_TRY_STATUS(read_ids(metadata, vocabulary));
  FOLIO_TRY_STATUS(read_flags(metadata, vocabulary));
  vocabulary.strip_after_control = vocabulary.model == "llama" && is_phi3(metadata);
  return vocabulary;
}

}  // namespace folio::weights
