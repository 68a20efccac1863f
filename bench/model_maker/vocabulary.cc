#include "vocabulary.h"

#include "base/check.h"

namespace folio::model_maker {
namespace {

constexpr std::uint32_t kLetters = 26;
constexpr std::uint32_t kPairs = kLetters * kLetters, kTriples = kPairs * kLetters, kQuads = kPairs * kPairs;
constexpr std::uint32_t kQuadStep = 314'159;  // shares no factor with kQuads
static_assert(kMinVocabulary + kLetters + 2 * kPairs + 2 * kTriples + kQuads >= kMaxVocabulary);

enum TokenKind : std::int32_t { kText = 1, kControl = 3 };

// GPT-2's letter for a byte, as UTF-8: printable ones of Latin-1 stand for themselves, the others for U+0100
// and on, in order.
std::string letter_of_byte(std::uint32_t byte) {
  const auto printable = [](std::uint32_t b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  };
  std::uint32_t code = byte;
  if (!printable(byte)) {
    code = 256;
    for (std::uint32_t b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

// The n-th string of so many letters.
std::string letters(std::uint32_t n, std::size_t count) {
  std::string text(count, 'a');
  for (std::size_t i = count; i-- > 0; n /= kLetters) text[i] = static_cast<char>('a' + n % kLetters);
  return text;
}

struct Merge {
  std::string left, right;
};

// The merge of this rank.
Merge merge_of(std::uint32_t rank) {
  const std::string space = letter_of_byte(' ');
  if (rank < kLetters) return {space, letters(rank, 1)};
  rank -= kLetters;
  if (rank < kPairs) return {letters(rank / kLetters, 1), letters(rank % kLetters, 1)};
  rank -= kPairs;
  if (rank < kPairs) return {space + letters(rank / kLetters, 1), letters(rank % kLetters, 1)};
  rank -= kPairs;
  if (rank < kTriples) return {letters(rank / kLetters, 2), letters(rank % kLetters, 1)};
  rank -= kTriples;
  if (rank < kTriples) return {space + letters(rank / kPairs, 1), letters(rank % kPairs, 2)};
  rank -= kTriples;
  const auto quad = static_cast<std::uint32_t>(std::uint64_t{rank} * kQuadStep % kQuads);
  return {letters(quad / kPairs, 2), letters(quad % kPairs, 2)};
}

}  // namespace

Vocabulary make_vocabulary(std::uint32_t size) {
  FOLIO_CHECK(size >= kMinVocabulary && size <= kMaxVocabulary, "no vocabulary of this size");
  Vocabulary vocabulary;
  for (std::uint32_t byte = 0; byte < 256; ++byte) vocabulary.tokens.push_back(letter_of_byte(byte));
  for (std::uint32_t rank = 0; rank < size - kMinVocabulary; ++rank) {
    const Merge merge = merge_of(rank);
    vocabulary.tokens.push_back(merge.left + merge.right);
    vocabulary.merges.push_back(merge.left + " " + merge.right);
  }
  vocabulary.types.assign(vocabulary.tokens.size(), kText);
  vocabulary.begin = static_cast<std::uint32_t>(vocabulary.tokens.size());
  vocabulary.end = vocabulary.begin + 1;
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"<|begin_of_text|>", "<|end_of_text|>"});
  for (std::uint32_t i = 2; i < kControlTokens; ++i)
    vocabulary.tokens.push_back("<|reserved_" + std::to_string(i) + "|>");
  vocabulary.types.resize(vocabulary.tokens.size(), kControl);
  return vocabulary;
}

}  // namespace folio::model_maker
