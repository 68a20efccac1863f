// Vocabulary: what a GGUF file says about its tokenizer, as plain data between two floors that do not know
// each other: weights/gguf_vocabulary.h fills it, text's Tokenizer::from_vocabulary() turns it into a working
// tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace folio {

// Values of `tokenizer.ggml.token_type`.
enum class TokenType : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // steers the model; never made from a user's text
  kUserDefined = 4,  // found in text before anything else, but ordinary text
  kUnused = 5,
  kByte = 6,  // `<0xNN>`: one byte that no piece covers
};

// The views must stay valid until Tokenizer::from_vocabulary() returns; the tokenizer keeps copies.
struct Vocabulary {
  std::string model;  // `tokenizer.ggml.model`: "llama" (SPM), "gpt2" (byte-level BPE), "none", ...
  std::string pre;    // `tokenizer.ggml.pre`; empty when the file has none
  std::vector<std::string_view>
      tokens;                 // id -> text as stored: SPM pieces with U+2581, byte-level BPE in its alphabet
  std::vector<float> scores;  // [tokens]; SPM only, else may be empty
  std::vector<std::int32_t> token_types;  // [tokens] of TokenType values; empty: all normal
  std::vector<std::string_view> merges;   // "left right", best first; byte-level BPE only

  std::optional<std::uint32_t> bos_id, eos_id, eot_id, eom_id, unk_id, pad_id;
  std::optional<bool> add_bos, add_eos;          // unset: what the model kind and pre-tokenizer usually do
  std::optional<bool> add_space_prefix;          // SPM; unset: true
  std::optional<bool> remove_extra_whitespaces;  // SPM; unset: false
  bool strip_after_control = false;  // white space after a control token belongs to it (the Phi-3 family)
};

}  // namespace folio
