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
  const std::string config = hf.config.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  const auto text_of = [](const std::optional<std::string>& text) { return text ? std::string_view(*text) : std::string_view(); };
  return text::Tokenizer::from_hf({.tokenizer = *hf.tokenizer_json,
                                   .tokenizer_config = text_of(hf.tokenizer_config_json),
                                   .special_tokens_map = text_of(hf.special_tokens_map_json),
                                   .added_tokens = text_of(hf.added_tokens_json),
                                   .config = config,
                                   .generation_config = text_of(hf.generation_config_json)});
}

Result<std::optional<std::string>> template_source(const weights::AnyModel& files) {
  if (const auto* hf = std::get_if<weights::HfModel>(&files)) return hf_template(*hf);
  FOLIO_TRY(source, std::get<weights::GgufModel>(files).metadata.find_string("tokenizer.chat_template"));
  if (!source) return std::nullopt;
  return std::string(*source);
}

text::ChatTemplate load_chat_template(const weights::AnyModel& files, const text::Tokenizer& tokenizer) {
  auto source = template_source(files);
  if (!source) return text::ChatTemplate::unusable(std::move(source.error()));
  if (!*source) return text::ChatTemplate::fallback(tokenizer);
  auto made = text::ChatTemplate::compile(**source, text::template_tokens(tokenizer));
  return made ? std::move(*made) : text::ChatTemplate::unusable(std::move(made.error()));
}

}  // namespace folio::engine
