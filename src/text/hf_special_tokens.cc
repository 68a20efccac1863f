#include "text/hf_special_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace folio::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMaxTokenId = 1 << 24;
constexpr std::size_t kMaxWarnings = 16;

constexpr std::array kSpecialKeys = {"bos_token", "eos_token", "unk_token", "sep_token",
                                     "pad_token", "cls_token", "mask_token"};
constexpr std::array kSpecialLists = {"additional_special_tokens", "extra_special_tokens"};

// The classes whose post-processor transformers makes from the flags; for all others tokenizer.json's is right.
constexpr std::array kFlagClasses = {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "CohereTokenizer",
                                     "GPTNeoXTokenizer"};

Result<Json> parse_object(std::string_view text, std::string_view file) {
  if (text.empty()) return Json::object();
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return fail(ErrorKind::kInvalid, "{}: not a JSON object", file);
  return json;
}

std::string shown(const Json& json) {
  std::string text = json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

// "<s>" or {"content": "<s>", ...}; nullopt for anything else.
std::optional<std::string> token_text(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (!token.is_object()) return std::nullopt;
  const auto content = token.find("content");
  if (content == token.end() || !content->is_string()) return std::nullopt;
  return content->get<std::string>();
}

std::optional<std::string> token_text(const Json& config, const char* key) {
  const auto at = config.find(key);
  return at == config.end() ? std::nullopt : token_text(*at);
}

bool flag_or(const Json& token, const char* key, bool otherwise) {
  if (!token.is_object()) return otherwise;
  const auto at = token.find(key);
  return at != token.end() && at->is_boolean() ? at->get<bool>() : otherwise;
}

class Reader {
 public:
  explicit Reader(HfSpecialTokens& out) : out_(out) {}

  void warn(std::string sentence) {
    if (out_.warnings.size() < kMaxWarnings) out_.warnings.push_back(std::move(sentence));
  }

  std::optional<std::int64_t> id_of(std::string_view where, const Json& id) {
    if (id.is_number_integer() && id >= 0 && id < kMaxTokenId) return id.get<std::int64_t>();
    warn(fmt::format("{}: {} is no token id and is ignored", where, shown(id)));
    return std::nullopt;
  }

  // `token` is a text or an object with flags. Without `id` it is the vocabulary's own, or none.
  void add(const Json& token, std::optional<std::int64_t> id, bool special, bool only_if_new) {
    const auto content = token_text(token);
    if (!content || content->empty()) return;
    Json entry = {{"content", *content},
                  {"single_word", flag_or(token, "single_word", false)},
                  {"lstrip", flag_or(token, "lstrip", false)},
                  {"rstrip", flag_or(token, "rstrip", false)},
                  {"normalized", flag_or(token, "normalized", !special)},
                  {"special", special},
                  {"only_if_new", only_if_new}};
    if (id) entry["id"] = *id;
    added_.push_back(std::move(entry));
  }

  // {"3": {"content": "<|im_start|>", ...}, ...}
  void add_decoder(const Json& decoder) {
    for (const auto& [key, token] : decoder.items()) {
      const Json number = Json::parse(key, nullptr, /*allow_exceptions=*/false);
      const auto id = id_of("tokenizer_config.json: added_tokens_decoder", number.is_discarded() ? Json(key) : number);
      if (id && token_text(token)) add(token, id, flag_or(token, "special", false), false);
    }
  }

  // {"<|im_start|>": 3, ...}; a control token only if it is one of the special ones.
  void add_encoder(const Json& encoder, const std::vector<std::string>& special) {
    for (const auto& [content, number] : encoder.items()) {
      const bool is_special = std::ranges::find(special, content) != special.end();
      if (const auto id = id_of("added_tokens.json", number)) add(Json(content), id, is_special, false);
    }
  }

  void add_special(const std::vector<Json>& tokens) {
    for (const Json& token : tokens) add(token, std::nullopt, true, true);
  }

  void read_ends(const Json& json, const char* file) {
    const auto at = json.find("eos_token_id");
    if (!out_.end_ids.empty() || at == json.end() || at->is_null()) return;
    out_.end_ids_file = file;
    for (const Json& id : at->is_array() ? *at : Json::array({*at})) {
      if (const auto number = id_of(std::string(file) + ": eos_token_id", id)) out_.end_ids.push_back(*number);
    }
  }

  void finish() { out_.added_json = added_.dump(-1, ' ', false, Json::error_handler_t::replace); }

 private:
  HfSpecialTokens& out_;
  Json added_ = Json::array();
};

// All tokens that the config names as special, as texts or objects.
std::vector<Json> special_tokens(const Json& config) {
  std::vector<Json> tokens;
  for (const char* key : kSpecialKeys) {
    if (const auto at = config.find(key); at != config.end()) tokens.push_back(*at);
  }
  for (const char* key : kSpecialLists) {
    const auto at = config.find(key);
    if (at == config.end() || !at->is_structured()) continue;
    for (const Json& token : *at) tokens.push_back(token);  // of an object: its values
  }
  return tokens;
}

// tokenizer_config.json's own values win where they are not empty.
void merge_special_tokens_map(const Json& map, Json& config) {
  for (const auto& [key, value] : map.items()) {
    const auto at = config.find(key);
    if (at == config.end() || at->is_null() || *at == "") config[key] = value;
  }
}

std::int8_t flag(const Json& config, const char* key) {
  const auto at = config.find(key);
  return at != config.end() && at->is_boolean() ? static_cast<std::int8_t>(at->get<bool>()) : std::int8_t{-1};
}

void read_flags(const Json& config, HfSpecialTokens& out) {
  const auto at = config.find("tokenizer_class");
  std::string name = at != config.end() && at->is_string() ? at->get<std::string>() : "";
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  if (std::ranges::find(kFlagClasses, name) == kFlagClasses.end()) return;
  out.add_bos = flag(config, "add_bos_token");
  out.add_eos = flag(config, "add_eos_token");
}

std::size_t vocab_size(const Json& config) {
  const auto at = config.find("vocab_size");
  return at != config.end() && at->is_number_unsigned() ? at->get<std::size_t>() : 0;
}

}  // namespace

Result<HfSpecialTokens> read_hf_special_tokens(const HfTexts& texts) {
  FOLIO_TRY(config, parse_object(texts.tokenizer_config, "tokenizer_config.json"));
  FOLIO_TRY(map, parse_object(texts.special_tokens_map, "special_tokens_map.json"));
  FOLIO_TRY(encoder, parse_object(texts.added_tokens, "added_tokens.json"));
  FOLIO_TRY(model, parse_object(texts.config, "config.json"));
  FOLIO_TRY(generation, parse_object(texts.generation_config, "generation_config.json"));
  HfSpecialTokens out;
  Reader reader(out);
  const auto decoder = config.find("added_tokens_decoder");
  const bool has_decoder = decoder != config.end() && decoder->is_object();
  if (has_decoder)
    reader.add_decoder(*decoder);
  else
    merge_special_tokens_map(map, config);
  const std::vector<Json> special = special_tokens(config);
  if (!has_decoder) {
    std::vector<std::string> names;
    for (const Json& token : special) names.push_back(token_text(token).value_or(""));
    reader.add_encoder(encoder, names);
  }
  reader.add_special(special);
  reader.finish();
  out.bos = token_text(config, "bos_token");
  out.eos = token_text(config, "eos_token");
  out.unk = token_text(config, "unk_token");
  out.pad = token_text(config, "pad_token");
  read_flags(config, out);
  reader.read_ends(generation, "generation_config.json");
  reader.read_ends(model, "config.json");
  const auto text_config = model.find("text_config");
  const bool has_text_config = text_config != model.end() && text_config->is_object();
  if (has_text_config) reader.read_ends(*text_config, "config.json");
  out.model_vocab_size = std::max(vocab_size(model), has_text_config ? vocab_size(*text_config) : 0);
  return out;
}

}  // namespace folio::text
