#include "kv/sequence_kv.h"

#include <utility>

#include "kv/kv_cache.h"

namespace folio::kv {

SequenceKv::SequenceKv(KvCache& cache, BlockTable table, PrefixChain chain)
    : cache_(&cache), table_(std::move(table)), chain_(std::move(chain)) {
  cache.enroll(*this);
}

SequenceKv::SequenceKv(SequenceKv&& other) noexcept
    : cache_(std::exchange(other.cache_, nullptr)),
      registry_slot_(other.registry_slot_),
      table_(std::move(other.table_)),
      chain_(std::move(other.chain_)),
      computed_(std::exchange(other.computed_, 0)),
      published_blocks_(std::exchange(other.published_blocks_, 0)),
      claimed_blocks_(std::exchange(other.claimed_blocks_, 0)),
      hit_tokens_(std::exchange(other.hit_tokens_, 0)),
      queried_tokens_(std::exchange(other.queried_tokens_, 0)),
      serial_(other.serial_),
      label_(other.label_) {
  if (cache_ != nullptr) cache_->sequences_[registry_slot_] = this;
}

SequenceKv& SequenceKv::operator=(SequenceKv&& other) noexcept {
  std::swap(cache_, other.cache_);
  std::swap(registry_slot_, other.registry_slot_);
  std::swap(table_, other.table_);
  std::swap(chain_, other.chain_);
  std::swap(computed_, other.computed_);
  std::swap(published_blocks_, other.published_blocks_);
  std::swap(claimed_blocks_, other.claimed_blocks_);
  std::swap(hit_tokens_, other.hit_tokens_);
  std::swap(queried_tokens_, other.queried_tokens_);
  std::swap(serial_, other.serial_);
  std::swap(label_, other.label_);
  if (cache_ != nullptr) cache_->sequences_[registry_slot_] = this;
  if (other.cache_ != nullptr) other.cache_->sequences_[other.registry_slot_] = &other;
  return *this;
}

SequenceKv::~SequenceKv() {
  if (cache_ != nullptr) cache_->leave(*this);
}

}  // namespace folio::kv
