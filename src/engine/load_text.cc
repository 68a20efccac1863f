#include "engine/load_text.h"

#include <variant>

#include "weights/gguf_vocabulary.h"

namespace folio::engine {
namespace {

// In transformers' order: a template file of its own, else the one inside a JSON file.
Result<std::optional<std::string>> hf_template(const weights::HfModel& model) {
  if (model.chat_template_jinja) return model.chat_template_jinja;
  for (const auto* text : {&model.chat_template_json, &model.tokenizer_config_json}) {
    if (!*text) continue;
    FOLIO_TRY(source, text::chat_template_of_config(**text));
    if (source) return source;
  }
  return std::nullopt;
}

}  // namespace

Result<text::Tokenizer> load_tokenizer(const weights::AnyModel& files) {
  if (const auto* gguf = std::get_if<weights::GgufModel>(&files)) {
    FOLIO_TRY(vocabulary, weights::gguf_vocabulary(gguf->metadata));
    return text::Tokenizer::from_vocabulary(vocabulary);
  }
  const auto& hf = std::get<weights::HfModel>(files);
  if (!hf.tokenizer_json) return text::Tokenizer::ids_only(0);
  return text::Tokenizer::from_hf(*hf.tokenizer_json, hf.tokenizer_config_json.value_or(""),
                                  hf.generation_config_json.value_or(""));
}

Result<std::optional<std::string>> template_source(const weights::AnyModel& files) {
  if (const auto* hf = std::get_if<weights::HfModel>(&files)) return hf_template(*hf);
  FOLIO_TRY(source, std::get<weights::GgufModel>(files).metadata.find_string("tokenizer.chat_template"));
  if (!source) return std::nullopt;
  return std::string(*source);
}

Result<text::ChatTemplate> load_chat_template(const weights::AnyModel& files,
                                              const text::Tokenizer& tokenizer) {
  FOLIO_TRY(source, template_source(files));
  if (!source) return text::ChatTemplate::fallback(tokenizer);
  return text::ChatTemplate::compile(*source, text::template_tokens(tokenizer));
}

}  // namespace folio::engine
