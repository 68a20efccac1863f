// The name of a prefix: a chained hash, one link per full block.
//
//   root   = H(namespace bytes, salt)                 everything the bits depend on besides the tokens
//   link 0 = H(root,   tokens [0, block_tokens))
//   link i = H(link i-1, tokens [i * block_tokens, (i + 1) * block_tokens))
//
// Equal prefixes have equal names; that different prefixes have different names is only likely, which is why
// PrefixIndex compares parents and tokens as well.
//
// Thread rule: the functions are pure; a PrefixChain belongs to its sequence.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/ids.h"

namespace folio::kv {

struct BlockHash {
  Hash128 value;
  friend bool operator==(const BlockHash&, const BlockHash&) = default;
};

// One link. A parameter of the cache only so that tests can make every hash collide.
using LinkHash = BlockHash (*)(BlockHash parent, std::span<const TokenId> tokens);
BlockHash hash_link(BlockHash parent, std::span<const TokenId> tokens);

// `name_space` is whatever bytes tell apart caches whose blocks must not be mixed: model digest, geometry,
// RoPE parameters, kernel path, numeric version. `salt` keeps tenants apart; empty for none.
BlockHash hash_root(std::span<const std::byte> name_space, std::string_view salt);

// The links of one sequence, each computed once.
class PrefixChain {
 public:
  // No allocation happens up to `capacity_blocks` links.
  PrefixChain(BlockHash root, LinkHash hash, std::size_t block_tokens, std::size_t capacity_blocks);

  // The name of tokens [0, blocks * block_tokens), computing what is not known yet; the root for 0.
  // Requires: blocks * block_tokens <= tokens.size(), and `tokens` begins with what earlier calls were given.
  BlockHash at(std::size_t blocks, std::span<const TokenId> tokens);

  // The same, of a link that is known. Requires: an earlier call named it, and no truncate() took it back.
  BlockHash at(std::size_t blocks) const;

  // Forgets the links after the first `blocks`, because the tokens after them may change.
  void truncate(std::size_t blocks);

 private:
  BlockHash root_;
  LinkHash hash_;
  std::size_t block_tokens_;
  std::vector<BlockHash> links_;
};

}  // namespace folio::kv
