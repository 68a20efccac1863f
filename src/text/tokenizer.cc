#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "text/end_tokens.h"
#include "text/rust_values.h"
#include "text/tokenizer_state.h"
#include "text/utf8.h"

namespace folio::text {
namespace {

struct RustIds {
  FolioIds value{nullptr, 0};

  RustIds() = default;
  RustIds(const RustIds&) = delete;
  RustIds& operator=(const RustIds&) = delete;
  ~RustIds() { folio_ids_free(value); }
};

Result<std::vector<TokenId>> encode_with(const FolioTokenizer* rust, std::string_view text,
                                         EncodeOptions options, std::span<const std::size_t> breaks) {
  if (rust == nullptr) {
    return fail(ErrorKind::kUnsupported, "this model has no tokenizer: give token ids instead of text");
  }
  if (const auto bad = first_invalid_utf8(text)) {
    return fail(ErrorKind::kInvalid, "the text is not valid UTF-8: byte {} (0x{:02X}) begins no character",
                *bad, static_cast<unsigned char>(text[*bad]));
  }
  const FolioEncode request = {.text = to_rust(text),
                               .parse_special = options.special == SpecialInput::kParse,
                               .add = options.add == AddTokens::kYes,
                               .breaks = breaks.data(),
                               .break_count = breaks.size()};
  RustIds ids;
  RustBytes error;
  const FolioStatus status = folio_tokenizer_encode(rust, &request, &ids.value, &error.value);
  if (status != FOLIO_OK) return rust_error(status, error);
  std::vector<TokenId> tokens(ids.value.size);
  std::transform(ids.value.data, ids.value.data + ids.value.size, tokens.begin(),
                 [](std::uint32_t id) { return static_cast<TokenId>(id); });
  return tokens;
}

}  // namespace

Tokenizer::State::State(FolioTokenizer* tokenizer)
    : rust(tokenizer), table(folio_tokenizer_table(tokenizer)) {
  const FolioTokenizerInfo info = folio_tokenizer_info(tokenizer);
  strips_leading_blank = info.strips_leading_blank != 0;
  description.kind = from_rust(info.kind);
  description.merge_count = info.merge_count;
  description.vocab_size = table.count;
  for (std::size_t id = 0; id < table.count; ++id) {
    description.special_count += (table.flags[id] & kSpecialFlag) != 0;
    description.added_count += (table.flags[id] & kAddedFlag) != 0;
  }
  refresh_added();
}

Tokenizer::State::~State() { folio_tokenizer_free(rust); }

void Tokenizer::State::refresh_added() {
  const FolioTokenizerInfo info = folio_tokenizer_info(rust);
  description.adds_bos = info.adds_bos != 0;
  description.adds_eos = info.adds_eos != 0;
}

std::optional<TokenId> Tokenizer::State::find(std::string_view stored_text) const {
  if (rust == nullptr) return std::nullopt;
  const std::uint32_t id = folio_tokenizer_find(rust, to_rust(stored_text));
  if (id == FOLIO_NO_TOKEN) return std::nullopt;
  return static_cast<TokenId>(id);
}

void Tokenizer::State::add_known_ends() {
  auto ends = known_end_tokens([this](std::string_view name) -> std::optional<TokenId> {
    const auto id = find(name);
    const bool is_added = id && (table.flags[static_cast<std::size_t>(raw(*id))] & kAddedFlag) != 0;
    return is_added ? id : std::nullopt;
  });
  auto& all = description.end_of_generation;
  all.insert(all.end(), ends.begin(), ends.end());
}

void Tokenizer::State::sort_ends() {
  auto& ends = description.end_of_generation;
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
}

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::ids_only(std::size_t vocab_size) {
  auto state = std::make_unique<State>();
  state->description.kind = "none";
  state->description.vocab_size = vocab_size;
  return Tokenizer(std::move(state));
}

bool Tokenizer::has_text() const { return state_->rust != nullptr; }

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  return encode_with(state_->rust, text, options, {});
}

Result<std::vector<TokenId>> Tokenizer::encode_with_breaks(std::string_view text,
                                                           std::span<const std::size_t> breaks) const {
  return encode_with(state_->rust, text, {.special = SpecialInput::kParse}, breaks);
}

std::size_t Tokenizer::vocab_size() const { return state_->description.vocab_size; }

std::string_view Tokenizer::token_bytes(TokenId id) const {
  const FolioTokenTable& table = state_->table;
  if (raw(id) < 0 || static_cast<std::size_t>(raw(id)) >= table.count) return {};
  const auto first = table.offsets[raw(id)];
  return {reinterpret_cast<const char*>(table.bytes) + first, table.offsets[raw(id) + 1] - first};
}

bool Tokenizer::is_special(TokenId id) const {
  const FolioTokenTable& table = state_->table;
  return raw(id) >= 0 && static_cast<std::size_t>(raw(id)) < table.count &&
         (table.flags[raw(id)] & State::kSpecialFlag) != 0;
}

bool Tokenizer::is_end_of_generation(TokenId id) const {
  return std::ranges::binary_search(state_->description.end_of_generation, id);
}

std::optional<TokenId> Tokenizer::find(std::string_view stored_text) const {
  return state_->find(stored_text);
}
std::optional<TokenId> Tokenizer::bos() const { return state_->description.bos; }
std::optional<TokenId> Tokenizer::eos() const { return state_->description.eos; }
bool Tokenizer::strips_leading_blank() const { return state_->strips_leading_blank; }
const TokenizerDescription& Tokenizer::description() const { return state_->description; }
const FolioTokenizer* Tokenizer::handle() const { return state_->rust; }

}  // namespace folio::text
