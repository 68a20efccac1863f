// The parts of the report that hold texts of the file: metadata, tokenizer, chat template.
#include <algorithm>

#include "app/inspect/report.h"
#include "engine/load_text.h"

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

Json shortened(std::string_view text) {
  if (text.size() <= kShownStringBytes) return text;
  return fmt::format("{}... ({} bytes in all)", text.substr(0, kShownStringBytes), text.size());
}

Json array_report(const weights::GgufNumbers& numbers) {
  Json first = Json::array();
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(numbers.count, kShownElements); ++i) {
    if (numbers.element == weights::GgufType::kBool) {
      first.push_back(numbers.as_f64(i) != 0);
    } else if (const auto whole = numbers.as_i64(i)) {
      first.push_back(*whole);
    } else {
      first.push_back(numbers.as_f64(i));
    }
  }
  return {{"elements", numbers.count}, {"first", std::move(first)}};
}

Json array_report(const weights::GgufStrings& strings) {
  Json first = Json::array();
  for (std::size_t i = 0; i < std::min(strings.size(), kShownElements); ++i)
    first.push_back(shortened(strings[i]));
  return {{"elements", strings.size()}, {"first", std::move(first)}};
}

Json value_report(const weights::GgufValue& value) {
  return std::visit(
      [](const auto& held) -> Json {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, std::string_view>)
          return shortened(held);
        else if constexpr (std::is_same_v<Held, weights::GgufNumbers> ||
                           std::is_same_v<Held, weights::GgufStrings>)
          return array_report(held);
        else
          return held;
      },
      value);
}

Json optional_id(const std::optional<TokenId>& id) { return id ? Json(raw(*id)) : Json(nullptr); }

Json tokenizer_report(const text::Tokenizer& tokenizer) {
  const text::TokenizerDescription& d = tokenizer.description();
  Json ends = Json::array();
  for (const TokenId id : d.end_of_generation) ends.push_back(raw(id));
  return {{"kind", d.kind},
          {"pre_tokenizer", d.pre},
          {"vocab_size", d.vocab_size},
          {"merges", d.merge_count},
          {"special_tokens", d.special_count},
          {"added_tokens", d.added_count},
          {"adds_bos", d.adds_bos},
          {"adds_eos", d.adds_eos},
          {"bos", optional_id(d.bos)},
          {"eos", optional_id(d.eos)},
          {"unknown", optional_id(d.unk)},
          {"padding", optional_id(d.pad)},
          {"end_of_generation", std::move(ends)}};
}

Json template_report(const text::ChatTemplate& chat_template) {
  return {{"name", chat_template.name()}, {"source", chat_template.source()}};
}

}  // namespace

Json metadata_report(const weights::AnyModel& files) {
  if (const auto* hf = std::get_if<weights::HfModel>(&files)) return hf->config;
  Json report = Json::object();
  // Pairs, not by operator[]: that would search all earlier keys for each one.
  auto& entries = report.get_ref<Json::object_t&>();
  for (const weights::GgufEntry& entry : std::get<weights::GgufModel>(files).metadata.all())
    static_cast<std::vector<Json::object_t::value_type>&>(entries).emplace_back(
        std::string(entry.key),
        Json{{"type", weights::gguf_value_type(entry.value)}, {"value", value_report(entry.value)}});
  return report;
}

Json text_report(const weights::AnyModel& files) {
  const auto tokenizer = engine::load_tokenizer(files);
  if (!tokenizer) {
    const Json error = {{"error", tokenizer.error().message}};
    return {{"tokenizer", error}, {"template", error}};
  }
  const auto chat_template = engine::load_chat_template(files, *tokenizer);
  return {{"tokenizer", tokenizer_report(*tokenizer)},
          {"template", chat_template.problem() ? Json{{"error", chat_template.problem()->message}}
                                               : template_report(chat_template)}};
}

}  // namespace folio::app
