// TokenHistory: which tokens a sequence's prompt and output contain, and how often; what penalties are a
// function of.
//
// Thread rule: one owner. Memory: 16 bytes per different token, growing by doubling; reserve() takes it
// beforehand. Cost: O(1) per token added, O(different tokens) to go through them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"

namespace folio::sampling {

class TokenHistory {
 public:
  struct Entry {
    TokenId token;
    std::uint32_t in_prompt = 0;  // occurrences
    std::uint32_t in_output = 0;
  };

  // No allocation happens up to this many different tokens.
  void reserve(std::size_t different_tokens);
  void clear();

  void add_prompt(std::span<const TokenId> tokens);
  void add_output(TokenId token);

  // One per different token, in order of first occurrence.
  std::span<const Entry> entries() const { return entries_; }

 private:
  Entry& entry(TokenId token);
  void rehash(std::size_t slots);

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  // open addressing, a power of two: index into entries_ + 1, 0 for none
};

}  // namespace folio::sampling
