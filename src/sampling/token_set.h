// TokenSet: tokens in ascending order, each once; copies share their storage.
//
// Thread rule: as SharedList. Cost: contains() O(log n); made in O(n log n).
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/shared_list.h"

namespace folio::sampling {

class TokenSet {
 public:
  TokenSet() = default;
  TokenSet(std::vector<TokenId> tokens) : tokens_(sorted(std::move(tokens))) {}
  TokenSet(std::initializer_list<TokenId> tokens) : TokenSet(std::vector<TokenId>(tokens)) {}

  bool contains(TokenId token) const { return std::ranges::binary_search(tokens_.span(), token); }
  auto begin() const { return tokens_.begin(); }
  auto end() const { return tokens_.end(); }
  std::size_t size() const { return tokens_.size(); }
  bool empty() const { return tokens_.empty(); }
  void clear() { tokens_.clear(); }

  friend bool operator==(const TokenSet&, const TokenSet&) = default;

 private:
  static std::vector<TokenId> sorted(std::vector<TokenId> tokens) {
    std::ranges::sort(tokens);
    const auto repeated = std::ranges::unique(tokens);
    tokens.erase(repeated.begin(), repeated.end());
    return tokens;
  }

  SharedList<TokenId> tokens_;
};

}  // namespace folio::sampling
