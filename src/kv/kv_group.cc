#include "kv/kv_group.h"

#include <algorithm>

namespace folio::kv {

BlockRange KvGroup::blocks_for(TokenRange tokens) const {
  return {.first = geometry_.full_blocks(tokens.first), .end = geometry_.blocks_for(tokens.end)};
}

PrefixKey KvGroup::key(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t index,
                       BlockId parent) const {
  const std::size_t block_tokens = geometry_.block_tokens();
  return {.hash = chain.at(index + 1, tokens),
          .parent_hash = chain.at(index, tokens),
          .parent = parent,
          .tokens = tokens.subspan(index * block_tokens, block_tokens)};
}

std::optional<PartialHit> KvGroup::partial_hit(PrefixChain& chain, std::span<const TokenId> tokens,
                                               std::size_t blocks, BlockId parent,
                                               std::size_t limit_tokens) const {
  const std::size_t begin = blocks * geometry_.block_tokens();
  const std::size_t end = std::min(limit_tokens, begin + geometry_.block_tokens());
  if (end <= begin) return std::nullopt;
  return index_.find_partial(chain.at(blocks, tokens), parent, tokens.subspan(begin, end - begin));
}

void KvGroup::longest_hit(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t limit_tokens,
                          std::vector<BlockId>& hit) const {
  hit.clear();
  const std::size_t limit_blocks = geometry_.full_blocks(std::min(limit_tokens, tokens.size()));
  while (hit.size() < limit_blocks) {
    const BlockId parent = hit.empty() ? kNoBlock : hit.back();
    const std::optional<BlockId> block = index_.find(key(chain, tokens, hit.size(), parent));
    if (!block) return;
    hit.push_back(*block);
  }
}

}  // namespace folio::kv
