// KvGroup: the rules by which one group of layers keeps history. KvCache asks a group which table entries a
// token range needs, how long a hit can be, and (once a kind of group exists that forgets) what no later
// query reads.
//
// This is the group of full attention: every token is needed as long as the sequence lives, so nothing may go
// early and a hit is the longest chain of resident blocks from the start. Other kinds of history (a sliding
// window, a recurrent state) answer the same questions differently; a match over several groups goes round
// them until they agree on a length.
//
// Thread rule: the pool's thread. Ownership: none; refers to the cache's geometry and index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "kv/kv_geometry.h"
#include "kv/prefix_index.h"

namespace folio::kv {

struct TokenRange {
  std::size_t first = 0;
  std::size_t end = 0;  // [first, end)
};

struct BlockRange {
  std::size_t first = 0;
  std::size_t end = 0;  // [first, end), indices into a table
};

// A block that a look-up found: it holds the same as long as the index has it under this stamp.
struct FoundBlock {
  BlockId block = kNoBlock;
  std::uint64_t stamp = 0;
};

class KvGroup {
 public:
  KvGroup(const KvGeometry& geometry, const PrefixIndex& index) : geometry_(geometry), index_(index) {}

  // The table entries that hold a range of tokens.
  BlockRange blocks_for(TokenRange tokens) const;

  // What the `index`-th block of a table holds once it is full; `parent` is the block before it, kNoBlock for
  // none. The key refers to `tokens`. Requires: (index + 1) * block_tokens <= tokens.size().
  PrefixKey key(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t index, BlockId parent) const;

  // What follows the blocks `found` and agrees with `tokens` for a part of a block, but for no more than up
  // to `limit_tokens`. Full attention can go on anywhere: what a block holds of a token does not depend on
  // those after it.
  std::optional<PartialHit> partial_hit(PrefixChain& chain, std::span<const TokenId> tokens,
                                        std::span<const FoundBlock> found, std::size_t limit_tokens);

  // The resident blocks of the longest prefix of `tokens` that is no longer than `limit_tokens`, in order. Of
  // `found`, what an earlier call found for a prefix of these tokens, only what is resident still remains; so
  // only what came since is looked up, and one block more, the first that is not resident.
  void longest_hit(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t limit_tokens,
                   std::vector<FoundBlock>& found);

  // Does the entry `block` hold what the `index`-th block of a table of `tokens` would?
  bool holds(BlockId block, std::span<const TokenId> tokens, std::size_t index) const;

  // Blocks, whole or a part, that the index was asked for so far.
  std::uint64_t looked_up() const { return looked_up_; }

 private:
  const KvGeometry& geometry_;
  const PrefixIndex& index_;
  std::uint64_t looked_up_ = 0;
};

}  // namespace folio::kv
