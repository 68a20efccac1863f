#include "kv/sequence_kv.h"

#include <algorithm>
#include <utility>

namespace folio::kv {

SequenceKv::SequenceKv(OpenSequences& home, SequenceId owner, BlockTable table, PrefixChain chain)
    : home_(&home),
      slot_(home.all.size()),
      owner_(owner),
      table_(std::move(table)),
      chain_(std::move(chain)) {
  found_.reserve(table_.block_capacity());
  home.all.push_back(this);
}

SequenceKv::SequenceKv(SequenceKv&& other) noexcept
    : home_(std::exchange(other.home_, nullptr)),
      slot_(other.slot_),
      owner_(other.owner_),
      table_(std::move(other.table_)),
      chain_(std::move(other.chain_)),
      found_(std::move(other.found_)),
      computed_(std::exchange(other.computed_, 0)),
      published_blocks_(std::exchange(other.published_blocks_, 0)),
      claimed_blocks_(std::exchange(other.claimed_blocks_, 0)),
      hit_tokens_(std::exchange(other.hit_tokens_, 0)),
      queried_tokens_(std::exchange(other.queried_tokens_, 0)) {
  if (home_ != nullptr) home_->all[slot_] = this;
}

SequenceKv& SequenceKv::operator=(SequenceKv&& other) noexcept {
  std::swap(home_, other.home_);
  std::swap(slot_, other.slot_);
  std::swap(owner_, other.owner_);
  std::swap(table_, other.table_);
  std::swap(chain_, other.chain_);
  std::swap(found_, other.found_);
  std::swap(computed_, other.computed_);
  std::swap(published_blocks_, other.published_blocks_);
  std::swap(claimed_blocks_, other.claimed_blocks_);
  std::swap(hit_tokens_, other.hit_tokens_);
  std::swap(queried_tokens_, other.queried_tokens_);
  if (home_ != nullptr) home_->all[slot_] = this;
  if (other.home_ != nullptr) other.home_->all[other.slot_] = &other;
  return *this;
}

SequenceKv::~SequenceKv() {
  if (home_ == nullptr) return;
  give_back(0);
  SequenceKv* last = home_->all.back();
  home_->all[slot_] = last;
  last->slot_ = slot_;
  home_->all.pop_back();
}

void SequenceKv::give_back(std::size_t tokens) {
  drop_claims();
  table_.truncate(tokens);
  computed_ = tokens;
  published_blocks_ = std::min(published_blocks_, full_blocks(tokens));
  hit_tokens_ = std::min(hit_tokens_, tokens);
}

void SequenceKv::forget_names(std::size_t tokens) {
  chain_.truncate(full_blocks(tokens));
  if (found_.size() > full_blocks(tokens)) found_.resize(full_blocks(tokens));
}

// The names of claimed blocks are in the chain: claim() computed them, and are forgotten after their claims.
void SequenceKv::drop_claims() {
  for (std::size_t block = published_blocks_; block < claimed_blocks_; ++block)
    home_->pending.drop(chain_.at(block + 1), owner_);
  claimed_blocks_ = 0;
}

}  // namespace folio::kv
