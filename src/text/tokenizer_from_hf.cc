// Tokenizer::from_hf: tokenizer.json, and the special ids from the two files beside it.
#include <nlohmann/json.hpp>
#include <utility>

#include "text/rust_values.h"
#include "text/tokenizer_state.h"

namespace folio::text {
namespace {

using Json = nlohmann::ordered_json;

Result<Json> parse_config(std::string_view text, std::string_view file) {
  if (text.empty()) return Json::object();
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return fail(ErrorKind::kInvalid, "{}: not a JSON object", file);
  return json;
}

// "<s>" or {"content": "<s>", ...}; nullopt when absent or null.
std::optional<std::string> token_text(const Json& config, const char* key) {
  const auto at = config.find(key);
  if (at == config.end()) return std::nullopt;
  if (at->is_string()) return at->get<std::string>();
  if (at->is_object() && at->contains("content") && (*at)["content"].is_string())
    return (*at)["content"].get<std::string>();
  return std::nullopt;
}

std::int8_t flag(const Json& config, const char* key) {
  const auto at = config.find(key);
  return at != config.end() && at->is_boolean() ? static_cast<std::int8_t>(at->get<bool>()) : std::int8_t{-1};
}

// eos_token_id is one id or a list of them.
Status add_ends(const Json& generation_config, std::size_t vocab_size, std::vector<TokenId>& ends) {
  const auto at = generation_config.find("eos_token_id");
  if (at == generation_config.end() || at->is_null()) return {};
  const Json list = at->is_array() ? *at : Json::array({*at});
  for (const Json& id : list) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= vocab_size) {
      return fail(ErrorKind::kInvalid, "generation_config.json: eos_token_id holds {}, but ids are below {}",
                  id.dump(-1, ' ', true, Json::error_handler_t::replace), vocab_size);
    }
    ends.push_back(static_cast<TokenId>(id.get<std::uint64_t>()));
  }
  return {};
}

}  // namespace

Result<Tokenizer> Tokenizer::from_hf(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                                     std::string_view generation_config_json) {
  FOLIO_TRY(config, parse_config(tokenizer_config_json, "tokenizer_config.json"));
  FOLIO_TRY(generation_config, parse_config(generation_config_json, "generation_config.json"));
  FolioTokenizer* rust = nullptr;
  RustBytes error;
  const FolioStatus status = folio_tokenizer_from_json(to_rust(tokenizer_json), &rust, &error.value);
  if (status != FOLIO_OK) return rust_error(status, error);
  auto state = std::make_unique<State>(rust);

  TokenizerDescription& description = state->description;
  const auto special = [&](const char* key) -> std::optional<TokenId> {
    const auto text = token_text(config, key);
    return text ? state->find(*text) : std::nullopt;
  };
  description.bos = special("bos_token");
  description.eos = special("eos_token");
  description.unk = special("unk_token");
  description.pad = special("pad_token");
  const auto id_or_none = [](std::optional<TokenId> id) {
    return id ? static_cast<std::uint32_t>(raw(*id)) : static_cast<std::uint32_t>(FOLIO_NO_TOKEN);
  };
  folio_tokenizer_set_added(rust, id_or_none(description.bos), flag(config, "add_bos_token"),
                            id_or_none(description.eos), flag(config, "add_eos_token"));
  state->refresh_added();

  auto& ends = description.end_of_generation;
  FOLIO_TRY_STATUS(add_ends(generation_config, description.vocab_size, ends));
  if (ends.empty()) state->add_known_ends();  // nothing says which tokens end an answer: the known names do
  if (description.eos) ends.push_back(*description.eos);
  state->sort_ends();
  return Tokenizer(std::move(state));
}

}  // namespace folio::text
