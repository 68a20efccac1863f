// Tokenizer::from_vocabulary: checks a GGUF vocabulary and hands it to the Rust library.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/end_tokens.h"
#include "text/rust_values.h"
#include "text/tokenizer_state.h"

namespace folio::text {
namespace {

Status check_sizes(const Vocabulary& vocabulary) {
  const std::size_t count = vocabulary.tokens.size();
  if (!vocabulary.scores.empty() && vocabulary.scores.size() != count) {
    return fail(ErrorKind::kInvalid, "tokenizer.ggml.scores has {} elements, tokenizer.ggml.tokens has {}",
                vocabulary.scores.size(), count);
  }
  if (!vocabulary.token_types.empty() && vocabulary.token_types.size() != count) {
    return fail(ErrorKind::kInvalid,
                "tokenizer.ggml.token_type has {} elements, tokenizer.ggml.tokens has {}",
                vocabulary.token_types.size(), count);
  }
  return {};
}

// The vocabulary without the ids that no token has, and a warning for each.
Vocabulary with_known_ids(const Vocabulary& vocabulary, std::vector<std::string>& warnings) {
  Vocabulary known = vocabulary;
  const std::pair<const char*, std::optional<std::uint32_t>*> ids[] = {
      {"bos", &known.bos_id}, {"eos", &known.eos_id},     {"eot", &known.eot_id},
      {"eom", &known.eom_id}, {"unknown", &known.unk_id}, {"padding", &known.pad_id}};
  for (const auto& [name, id] : ids) {
    if (!*id || **id < known.tokens.size()) continue;
    warnings.push_back(fmt::format("tokenizer.ggml.{}_token_id {} is ignored: there are {} tokens", name, **id,
                                   known.tokens.size()));
    id->reset();
  }
  return known;
}

// Some converters leave the tokens that end a turn "normal"; in text they would then be cut to pieces. Names
// that could as well be ordinary text ("</s>") stay as they are.
bool is_unmistakable_end(std::string_view name) {
  return is_end_token_name(name) && (name.starts_with("<|") || name == "<end_of_turn>");
}

std::vector<std::int32_t> token_types(const Vocabulary& vocabulary) {
  const auto normal = static_cast<std::int32_t>(TokenType::kNormal);
  const auto control = static_cast<std::int32_t>(TokenType::kControl);
  std::vector<std::int32_t> types = vocabulary.token_types;
  if (types.empty()) types.assign(vocabulary.tokens.size(), normal);
  for (std::size_t id = 0; id < types.size(); ++id) {
    if (types[id] == normal && is_unmistakable_end(vocabulary.tokens[id])) types[id] = control;
  }
  return types;
}

std::int8_t tri_state(std::optional<bool> value) {
  return value ? static_cast<std::int8_t>(*value) : std::int8_t{-1};
}

std::optional<TokenId> to_token(std::optional<std::uint32_t> id) {
  return id ? std::optional(static_cast<TokenId>(*id)) : std::nullopt;
}

std::vector<FolioStr> all_to_rust(std::span<const std::string_view> texts) {
  std::vector<FolioStr> out(texts.size());
  std::ranges::transform(texts, out.begin(), to_rust);
  return out;
}

Result<FolioTokenizer*> build(const Vocabulary& vocabulary) {
  const auto tokens = all_to_rust(vocabulary.tokens);
  const auto merges = all_to_rust(vocabulary.merges);
  const auto types = token_types(vocabulary);
  const FolioVocabulary request = {
      .model = to_rust(vocabulary.model),
      .pre = to_rust(vocabulary.pre),
      .tokens = tokens.data(),
      .scores = vocabulary.scores.empty() ? nullptr : vocabulary.scores.data(),
      .types = types.data(),
      .token_count = tokens.size(),
      .merges = merges.data(),
      .merge_count = merges.size(),
      .bos = vocabulary.bos_id.value_or(FOLIO_NO_TOKEN),
      .eos = vocabulary.eos_id.value_or(FOLIO_NO_TOKEN),
      .unk = vocabulary.unk_id.value_or(FOLIO_NO_TOKEN),
      .add_bos = tri_state(vocabulary.add_bos),
      .add_eos = tri_state(vocabulary.add_eos),
      .add_space_prefix = tri_state(vocabulary.add_space_prefix),
      .remove_extra_whitespaces = tri_state(vocabulary.remove_extra_whitespaces),
      .strip_after_control = static_cast<std::int8_t>(vocabulary.strip_after_control)};
  FolioTokenizer* made = nullptr;
  RustBytes error;
  const FolioStatus status = folio_tokenizer_from_vocabulary(&request, &made, &error.value);
  if (status != FOLIO_OK) return rust_error(status, error);
  return made;
}

}  // namespace

Result<Tokenizer> Tokenizer::from_vocabulary(const Vocabulary& given) {
  if (given.model == "none") return ids_only(given.tokens.size());
  FOLIO_TRY_STATUS(check_sizes(given));
  std::vector<std::string> warnings;
  const Vocabulary vocabulary = with_known_ids(given, warnings);
  FOLIO_TRY(rust, build(vocabulary));
  auto state = std::make_unique<State>(rust);
  TokenizerDescription& description = state->description;
  description.warnings = std::move(warnings);
  description.pre = vocabulary.pre;
  description.bos = to_token(vocabulary.bos_id);
  description.eos = to_token(vocabulary.eos_id);
  description.unk = to_token(vocabulary.unk_id);
  description.pad = to_token(vocabulary.pad_id);
  for (const auto id : {vocabulary.eos_id, vocabulary.eot_id, vocabulary.eom_id}) {
    if (id) description.end_of_generation.push_back(static_cast<TokenId>(*id));
  }
  state->add_known_ends();
  state->sort_ends();
  return Tokenizer(std::move(state));
}

}  // namespace folio::text
