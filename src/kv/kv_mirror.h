// For tests: what an observer of the cache knows, from what it is told alone.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv/kv_observer.h"

namespace folio::kv::testing {

class Mirror final : public KvObserver {
 public:
  using Tokens = std::vector<TokenId>;

  void published(BlockId block, const PrefixKey& key) override {
    if (key.parent != kNoBlock && !entries_.contains(key.parent)) problem = "published before its parent";
    if (key.parent != kNoBlock && entries_.contains(key.parent) &&
        !(entries_.at(key.parent).hash == key.parent_hash))
      problem = "published with another hash of its parent";
    const bool is_new = entries_
                            .try_emplace(block, Entry{.hash = key.hash,
                                                      .parent = key.parent,
                                                      .tokens = {key.tokens.begin(), key.tokens.end()}})
                            .second;
    if (!is_new) problem = "published twice";
  }
  void used(BlockId block) override {
    if (!entries_.contains(block)) problem = "used, but not there";
    ++uses;
  }
  void lost(BlockId block, BlockHash name) override {
    const auto entry = entries_.find(block);
    if (entry == entries_.end() || !(entry->second.hash == name)) {
      problem = "lost, but not there by this name";
      return;
    }
    for (const auto& [id, other] : entries_)
      if (other.parent == block) problem = "lost before what follows it";
    lost_.push_back(content(block));
    entries_.erase(entry);
  }
  void cleared() override {
    entries_.clear();
    ++times_cleared;
  }

  // All tokens up to the end of each block that is there.
  std::multiset<Tokens> contents() const {
    std::multiset<Tokens> all;
    for (const auto& [block, entry] : entries_) all.insert(content(block));
    return all;
  }

  // What was lost since the last call, in order.
  std::vector<Tokens> take_lost() { return std::exchange(lost_, {}); }

  std::size_t uses = 0, times_cleared = 0;
  std::string problem;  // the last; empty: none

 private:
  struct Entry {
    BlockHash hash;
    BlockId parent = kNoBlock;
    Tokens tokens;
  };

  Tokens content(BlockId block) const {
    const Entry& entry = entries_.at(block);
    Tokens all = entry.parent == kNoBlock ? Tokens() : content(entry.parent);
    all.insert(all.end(), entry.tokens.begin(), entry.tokens.end());
    return all;
  }

  std::map<BlockId, Entry> entries_;
  std::vector<Tokens> lost_;
};

}  // namespace folio::kv::testing
