#include "kv/claims.h"

#include "base/check.h"

namespace folio::kv {

std::optional<BlockHash> Claims::awaited(SequenceKv& sequence, std::span<const TokenId> tokens) {
  FOLIO_CHECK(sequence.table_.blocks() == 0, "a sequence waits before it starts");
  if (tokens.empty() || pending_.size() == 0) return std::nullopt;
  sequence.drop_claims();
  group_.longest_hit(sequence.chain_, tokens, tokens.size() - 1, sequence.found_);
  std::optional<BlockHash> last;
  const std::size_t end = geometry_.full_blocks(tokens.size() - 1);
  for (std::size_t blocks = sequence.found_.size() + 1; blocks <= end; ++blocks) {
    const BlockHash name = sequence.chain_.at(blocks, tokens);
    if (!pending_.contains(name)) break;
    last = name;
  }
  return last;
}

void Claims::claim(SequenceKv& sequence, std::span<const TokenId> tokens) {
  if (prefix_caching_ == PrefixCaching::kOff) return;
  sequence.drop_claims();
  sequence.claimed_blocks_ = geometry_.full_blocks(tokens.size());
  for (std::size_t block = sequence.published_blocks_; block < sequence.claimed_blocks_; ++block)
    pending_.claim(sequence.chain_.at(block + 1, tokens), sequence.owner_);
}

}  // namespace folio::kv
