// Tokenizer: bytes <-> token ids of one model, from a GGUF vocabulary or from Hugging Face's tokenizer.json.
//
// Ownership: a move-only handle over an object of the Rust library (rust/folio_rust.h); a moved-from
// Tokenizer may only be destroyed or assigned to. Threads: every const method may be called from many threads
// at once. Errors: nothing from outside aborts; a vocabulary that folio cannot reproduce exactly is refused
// by name, never guessed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/vocabulary.h"

struct FolioTokenizer;  // rust/folio_rust.h

namespace folio::text {

enum class SpecialInput { kParse, kAsText };  // is the text of a control token that token, or just text?
enum class AddTokens { kYes, kNo };           // the model's own BOS / EOS around the text
enum class SpecialText { kKeep, kSkip };      // when decoding: the text of control tokens

struct EncodeOptions {
  SpecialInput special = SpecialInput::kAsText;
  AddTokens add = AddTokens::kNo;
};

// What `folio inspect` prints.
struct TokenizerDescription {
  std::string kind;               // "SPM", "byte-level BPE", "Hugging Face BPE", ..., "none"
  std::string pre;                // pre-tokenizer name (GGUF only)
  std::size_t vocab_size = 0;     // ids are [0, vocab_size)
  std::size_t merge_count = 0;    // 0 for SPM: scores decide
  std::size_t special_count = 0;  // control tokens
  std::size_t added_count = 0;    // tokens found in the text before anything else (control tokens among them)
  bool adds_bos = false, adds_eos = false;  // with AddTokens::kYes
  std::optional<TokenId> bos, eos, unk, pad;
  std::vector<TokenId> end_of_generation;  // ascending
  std::vector<std::string> warnings;       // what the files say that makes no sense and was left out
};

// The texts of a Hugging Face directory's files; empty: there is no such file.
struct HfTexts {
  std::string_view tokenizer = {};  // tokenizer.json
  std::string_view tokenizer_config = {};
  std::string_view special_tokens_map = {};
  std::string_view added_tokens = {};
  std::string_view config = {};
  std::string_view generation_config = {};
};

class Tokenizer {
 public:
  // Unknown model kinds and pre-tokenizers are kUnsupported (the message lists the known ones);
  // contradictions in the vocabulary are kInvalid. model "none" gives a tokenizer without text: see
  // has_text(). Cost, measured: 13 ms for SmolLM2 (49,000 tokens), 100 to 130 ms for Llama 3 (128,000 tokens,
  // 280,000 merges), 7 ms for Llama 2 (SPM, 32,000 pieces): little enough not to cache built tokenizers.
  [[nodiscard]] static Result<Tokenizer> from_vocabulary(const Vocabulary& vocabulary);

  // Special tokens come from all of the files, as transformers reads them (hf_special_tokens.h); what makes no sense
  // there is left out, with a sentence in TokenizerDescription::warnings. Cost, measured: 0.1 s for Qwen3's 11 MB,
  // 0.3 s for gpt-oss's 27 MB.
  [[nodiscard]] static Result<Tokenizer> from_hf(const HfTexts& texts);

  // For a model that has no tokenizer at all: ids only. vocab_size may be 0 when unknown.
  [[nodiscard]] static Tokenizer ids_only(std::size_t vocab_size);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // False for a model without a tokenizer: encode() then fails with one clear sentence, every token's bytes
  // are empty.
  [[nodiscard]] bool has_text() const;

  // text must be valid UTF-8 (NUL and noncharacters included); else kInvalid naming the first bad byte.
  // User-defined tokens (not control tokens) in the text are found under both SpecialInput values.
  // Cost: linear; about 10 MB/s.
  [[nodiscard]] Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options = {}) const;

  // Control tokens are recognised in `text` only where no offset of `breaks` (ascending byte offsets) lies
  // inside them; everything else is tokenised as if the breaks were not there. Adds no BOS / EOS.
  [[nodiscard]] Result<std::vector<TokenId>> encode_with_breaks(std::string_view text,
                                                                std::span<const std::size_t> breaks) const;

  // Always valid UTF-8: bytes that are none become U+FFFD (one per maximal ill-formed part, as Unicode
  // recommends). Ids outside [0, vocab_size()) give nothing. SPM: the blank that encoding put first is taken
  // away again.
  [[nodiscard]] std::string decode(std::span<const TokenId> tokens, SpecialText special) const;

  [[nodiscard]] std::size_t vocab_size() const;
  // The bytes this token stands for in running text (may be half a character); empty for an unknown id.
  // Valid as long as the Tokenizer (moving it keeps them).
  [[nodiscard]] std::string_view token_bytes(TokenId id) const;
  [[nodiscard]] bool is_special(TokenId id) const;  // a control token
  [[nodiscard]] bool is_end_of_generation(TokenId id) const;
  // The id whose stored text is exactly this (as in the vocabulary, e.g. "<|im_end|>").
  [[nodiscard]] std::optional<TokenId> find(std::string_view stored_text) const;
  [[nodiscard]] std::optional<TokenId> bos() const;
  [[nodiscard]] std::optional<TokenId> eos() const;
  // A decoded text loses one leading blank (SPM's prefix).
  [[nodiscard]] bool strips_leading_blank() const;

  [[nodiscard]] const TokenizerDescription& description() const;

  // For chat_template.cc: the Rust object; null when !has_text().
  [[nodiscard]] const FolioTokenizer* handle() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace folio::text
