#include "kv/kv_group.h"

#include <algorithm>

#include "base/check.h"

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
                                               std::span<const FoundBlock> found, std::size_t limit_tokens) {
  const std::size_t begin = found.size() * geometry_.block_tokens();
  const std::size_t end = std::min(limit_tokens, begin + geometry_.block_tokens());
  if (end <= begin) return std::nullopt;
  ++looked_up_;
  const BlockId parent = found.empty() ? kNoBlock : found.back().block;
  return index_.find_partial(chain.at(found.size(), tokens), parent, tokens.subspan(begin, end - begin));
}

void KvGroup::longest_hit(PrefixChain& chain, std::span<const TokenId> tokens, std::size_t limit_tokens,
                          std::vector<FoundBlock>& found) {
  const std::size_t limit_blocks = geometry_.full_blocks(std::min(limit_tokens, tokens.size()));
  if (found.size() > limit_blocks) found.resize(limit_blocks);
  // A block that is there still has all before it, since those leave after it.
  while (!found.empty() && index_.stamp(found.back().block) != found.back().stamp) found.pop_back();
  FOLIO_DCHECK(found.empty() || holds(found.back().block, tokens, found.size() - 1),
               "other tokens than those that were looked up before");
  while (found.size() < limit_blocks) {
    const BlockId parent = found.empty() ? kNoBlock : found.back().block;
    ++looked_up_;
    const std::optional<BlockId> block = index_.find(key(chain, tokens, found.size(), parent));
    if (!block) return;
    found.push_back({.block = *block, .stamp = index_.stamp(*block)});
  }
}

bool KvGroup::holds(BlockId block, std::span<const TokenId> tokens, std::size_t index) const {
  const std::size_t block_tokens = geometry_.block_tokens();
  return (index + 1) * block_tokens <= tokens.size() &&
         std::ranges::equal(index_.tokens(block), tokens.subspan(index * block_tokens, block_tokens));
}

}  // namespace folio::kv
