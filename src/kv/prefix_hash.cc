#include "kv/prefix_hash.h"

#include "base/check.h"

namespace folio::kv {

BlockHash hash_link(BlockHash parent, std::span<const TokenId> tokens) {
  return {hash128({std::as_bytes(std::span(&parent.value, 1)), std::as_bytes(tokens)})};
}

BlockHash hash_root(std::span<const std::byte> name_space, std::string_view salt) {
  const Hash128 space = hash128({name_space});
  return {hash128({std::as_bytes(std::span(&space, 1)), std::as_bytes(std::span(salt))})};
}

PrefixChain::PrefixChain(BlockHash root, LinkHash hash, std::size_t block_tokens, std::size_t capacity_blocks)
    : root_(root), hash_(hash), block_tokens_(block_tokens) {
  links_.reserve(capacity_blocks);
}

BlockHash PrefixChain::at(std::size_t blocks, std::span<const TokenId> tokens) {
  FOLIO_CHECK(blocks * block_tokens_ <= tokens.size(), "naming a block that is not full");
  while (links_.size() < blocks) {
    const BlockHash parent = links_.empty() ? root_ : links_.back();
    links_.push_back(hash_(parent, tokens.subspan(links_.size() * block_tokens_, block_tokens_)));
  }
  return blocks == 0 ? root_ : links_[blocks - 1];
}

BlockHash PrefixChain::at(std::size_t blocks) const {
  FOLIO_CHECK(blocks <= links_.size(), "a name that was never computed");
  return blocks == 0 ? root_ : links_[blocks - 1];
}

void PrefixChain::truncate(std::size_t blocks) {
  if (blocks < links_.size()) links_.resize(blocks);
}

}  // namespace folio::kv
