// A byte-level BPE vocabulary of any size, made by rule and not learnt, so that it is the same everywhere.
//
//   256 bytes | merges, in order of their ranks | 16 control tokens
//
// Every merge makes one token: a space and a letter ("Ġx"), two letters, a space and two, three, a space and
// three, and then as many of four letters as the size leaves room for, spread over the alphabet. English
// words become pieces of three or four bytes, so that tokenisers work about as hard as on a learnt
// vocabulary. Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace folio::model_maker {

inline constexpr std::uint32_t kControlTokens = 16;
inline constexpr std::uint32_t kMinVocabulary = 256 + kControlTokens;
inline constexpr std::uint32_t kMaxVocabulary = 490'000;

struct Vocabulary {
  std::vector<std::string> tokens;   // as GPT-2 spells bytes
  std::vector<std::string> merges;   // "left right", by ascending rank
  std::vector<std::int32_t> types;   // GGUF's: 1 text, 3 control
  std::uint32_t begin = 0, end = 0;  // of a text; both control tokens
};

// Requires: kMinVocabulary <= size <= kMaxVocabulary.
[[nodiscard]] Vocabulary make_vocabulary(std::uint32_t size);

}  // namespace folio::model_maker
