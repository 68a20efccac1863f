// Tokenizer::from_hf: tokenizer.json, and the special tokens of the files beside it.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/hf_special_tokens.h"
#include "text/rust_values.h"
#include "text/tokenizer_state.h"

namespace folio::text {
namespace {

// The ids that exist, and a warning for each that does not.
std::vector<TokenId> checked_ends(const HfSpecialTokens& special, std::size_t vocab_size,
                                  std::vector<std::string>& warnings) {
  const std::size_t limit = std::max(vocab_size, special.model_vocab_size);
  std::vector<TokenId> ends;
  for (const std::int64_t id : special.end_ids) {
    if (static_cast<std::size_t>(id) < limit) {
      ends.push_back(static_cast<TokenId>(id));
    } else {
      warnings.push_back(fmt::format("{}: eos_token_id {} is ignored: ids are below {}", special.end_ids_file,
                                     id, limit));
    }
  }
  return ends;
}

}  // namespace

Result<Tokenizer> Tokenizer::from_hf(const HfTexts& texts) {
  FOLIO_TRY(special, read_hf_special_tokens(texts));
  FolioTokenizer* rust = nullptr;
  RustBytes error;
  const FolioStatus status =
      folio_tokenizer_from_json(to_rust(texts.tokenizer), to_rust(special.added_json), &rust, &error.value);
  if (status != FOLIO_OK) return rust_error(status, error);
  auto state = std::make_unique<State>(rust);

  TokenizerDescription& description = state->description;
  const auto find = [&](const std::optional<std::string>& text) -> std::optional<TokenId> {
    return text ? state->find(*text) : std::nullopt;
  };
  description.bos = find(special.bos);
  description.eos = find(special.eos);
  description.unk = find(special.unk);
  description.pad = find(special.pad);
  const auto id_or_none = [](std::optional<TokenId> id) {
    return id ? static_cast<std::uint32_t>(raw(*id)) : static_cast<std::uint32_t>(FOLIO_NO_TOKEN);
  };
  folio_tokenizer_set_added(rust, id_or_none(description.bos), special.add_bos, id_or_none(description.eos),
                            special.add_eos);
  state->refresh_added();

  description.warnings = special.warnings;
  auto& ends = description.end_of_generation;
  ends = checked_ends(special, description.vocab_size, description.warnings);
  if (ends.empty()) state->add_known_ends();  // nothing says which tokens end an answer: the known names do
  if (description.eos) ends.push_back(*description.eos);
  state->sort_ends();
  return Tokenizer(std::move(state));
}

}  // namespace folio::text
