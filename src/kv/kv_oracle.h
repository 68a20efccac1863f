// For tests: the rules of KvCache as plainly as they can be written, with no hash, no block numbers and no
// lists to keep in order. A block is an object, its content is the whole prefix it ends, pins are counted by
// looking.
#pragma once

#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "kv/eviction.h"
#include "kv/kv_cache.h"

namespace folio::kv::testing {

class Oracle {
 public:
  using Tokens = std::vector<TokenId>;
  using Content = std::pair<std::string, Tokens>;  // salt, all tokens up to the end of the block
  struct Block {
    bool published = false;
    Content content;
    std::size_t serial = 0;       // order of publication
    std::uint32_t uses = 0;       // hits by others since
    double score = 0, floor = 0;  // of Eviction::kCost: the last while it was cached, and its children's
  };
  using Handle = std::shared_ptr<Block>;
  struct Sequence {
    SequenceId owner;
    std::string salt;
    std::vector<Handle> table;
    std::size_t computed = 0;
    std::size_t published = 0;  // blocks
    std::size_t hit = 0;        // tokens found, but not yet read
  };
  struct Swapped {
    std::size_t first = 0, computed = 0, blocks = 0;
  };
  struct Rules {
    std::size_t blocks, block_tokens;
    PrefixCaching caching = PrefixCaching::kOn;
    Eviction eviction = Eviction::kLru;
    double attention_share = 0;
    std::size_t swap_blocks = 0;
  };

  explicit Oracle(const Rules& rules) : rules_(rules), free_swap_(rules.swap_blocks) {}

  std::size_t free_blocks() const { return rules_.blocks - alive_; }
  std::size_t cached_blocks() const { return cached_.size(); }
  std::size_t free_swap_blocks() const { return free_swap_; }
  // What can be found.
  std::multiset<Tokens> published() const {
    std::multiset<Tokens> all;
    for (const auto& [content, block] : index_) all.insert(content.second);
    return all;
  }
  // What was lost since the last call, in order.
  std::vector<Tokens> take_lost() { return std::exchange(lost_, {}); }

  Sequence* open(SequenceId owner, std::string salt) {
    sequences_.push_back(std::make_unique<Sequence>());
    sequences_.back()->owner = owner;
    sequences_.back()->salt = std::move(salt);
    return sequences_.back().get();
  }

  void close(Sequence* sequence) {
    truncate(*sequence, 0);
    std::erase_if(sequences_, [&](const auto& owned) { return owned.get() == sequence; });
  }

  Sequence* fork(const Sequence& parent, SequenceId owner) {
    Sequence* child = open(owner, parent.salt);
    *child = parent;
    child->owner = owner;
    child->hit = 0;
    child->table.resize(blocks_for(parent.computed));
    return child;
  }

  std::size_t match(Sequence& sequence, const Tokens& tokens, Partial partial) {
    drop_claims(sequence);
    for (const Handle& block : found(sequence, tokens)) {
      cached_.remove(block);
      sequence.table.push_back(block);
    }
    sequence.published = sequence.table.size();
    sequence.computed = sequence.published * rules_.block_tokens;
    if (partial == Partial::kYes) match_part(sequence, tokens);
    sequence.hit = sequence.computed;
    return sequence.computed;
  }

  std::size_t blocks_to_start(const Sequence& sequence, const Tokens& tokens, std::size_t upto) const {
    const auto blocks = found(sequence, tokens);
    const auto unpinned = std::ranges::count_if(blocks, [&](const Handle& b) { return pins(b) == 0; });
    const std::size_t needed = blocks_for(upto);
    return needed - std::min(needed, blocks.size()) + static_cast<std::size_t>(unpinned);
  }

  // As if they had been used and released, the last first.
  void touch(const Sequence& sequence, const Tokens& tokens) {
    auto blocks = found(sequence, tokens);
    std::ranges::reverse(blocks);
    for (const Handle& block : blocks)
      if (cached_.remove(block) > 0) cache(block);
  }

  // The last block of those that others claim without a gap after what match() would find, and whose it is.
  std::optional<std::pair<Content, SequenceId>> awaited(const Sequence& sequence, const Tokens& tokens) {
    if (tokens.empty() || claims_.empty()) return std::nullopt;
    drop_claims(sequence);
    std::optional<std::pair<Content, SequenceId>> last;
    for (std::size_t block = found(sequence, tokens).size();
         (block + 1) * rules_.block_tokens < tokens.size(); ++block) {
      const auto claim = claims_.find(content(sequence, tokens, block));
      if (claim == claims_.end()) break;
      last = *claim;
    }
    return last;
  }
  bool is_pending(const Content& content) const { return claims_.contains(content); }

  void claim(const Sequence& sequence, const Tokens& tokens) {
    if (rules_.caching == PrefixCaching::kOff) return;
    drop_claims(sequence);
    for (std::size_t block = sequence.published; (block + 1) * rules_.block_tokens <= tokens.size(); ++block)
      claims_.try_emplace(content(sequence, tokens, block), sequence.owner);
  }

  bool reserve(Sequence& sequence, std::size_t upto) {
    if (upto == sequence.computed) return true;
    const std::size_t missing = std::max(blocks_for(upto), sequence.table.size()) - sequence.table.size();
    const std::size_t begun = sequence.computed / rules_.block_tokens;
    const bool partial = sequence.computed % rules_.block_tokens != 0;
    const bool shared = partial && pins(sequence.table[begun]) > 1;
    const bool copy = shared || (partial && sequence.table[begun]->published);
    const std::size_t obtainable = free_blocks() + cached_blocks();
    if (missing + (shared ? 1 : 0) > obtainable) return false;
    for (std::size_t i = 0; i < missing; ++i) sequence.table.push_back(obtain());
    if (copy && missing < obtainable) {
      Handle old = std::exchange(sequence.table[begun], obtain());
      after_unpin(old);
    } else if (copy) {
      lose(sequence.table[begun]);
    }
    return true;
  }

  void commit(Sequence& sequence, const Tokens& tokens, std::size_t computed) {
    if (computed > sequence.computed) {
      const std::size_t hit_blocks = std::exchange(sequence.hit, 0) / rules_.block_tokens;
      for (std::size_t i = 0; i < hit_blocks; ++i) ++sequence.table[i]->uses;
    }
    sequence.computed = computed;
    if (rules_.caching == PrefixCaching::kOff) return;
    for (; (sequence.published + 1) * rules_.block_tokens <= computed; ++sequence.published) {
      Handle& block = sequence.table[sequence.published];
      const Content held = content(sequence, tokens, sequence.published);
      const auto claim = claims_.find(held);
      if (claim != claims_.end() && claim->second == sequence.owner) claims_.erase(claim);
      const auto [entry, is_new] = index_.try_emplace(held, block);
      if (is_new) {
        *block = {.published = true, .content = held, .serial = next_serial_++};
      } else if (entry->second != block) {
        cached_.remove(entry->second);
        const Handle old = std::exchange(block, entry->second);
        after_unpin(old);
      }
    }
  }

  void truncate(Sequence& sequence, std::size_t tokens) {
    drop_claims(sequence);
    while (sequence.table.size() > blocks_for(tokens)) {
      const Handle last = sequence.table.back();
      sequence.table.pop_back();
      after_unpin(last);
    }
    sequence.computed = tokens;
    sequence.published = std::min(sequence.published, tokens / rules_.block_tokens);
    sequence.hit = std::min(sequence.hit, tokens);
  }

  std::optional<Swapped> swap_out(Sequence& sequence) {
    const std::size_t end = blocks_for(sequence.computed);
    Swapped out{.computed = sequence.computed};
    while (out.first < end && pins(sequence.table[out.first]) > 1) ++out.first;
    out.blocks = end - out.first;
    if (out.blocks == 0 || out.blocks > free_swap_) return std::nullopt;
    free_swap_ -= out.blocks;
    truncate(sequence, 0);
    return out;
  }
  bool swap_in(Sequence& sequence, const Tokens& tokens, const Swapped& swapped) {
    if (sequence.published < swapped.first) return false;
    commit(sequence, tokens, swapped.computed);
    return true;
  }
  void drop(const Swapped& swapped) { free_swap_ += swapped.blocks; }

  bool reset() {
    if (alive_ > cached_blocks()) return false;
    while (!cached_.empty()) forget(victim());
    index_.clear();
    alive_ = 0;
    return true;
  }

 private:
  std::size_t blocks_for(std::size_t tokens) const {
    return (tokens + rules_.block_tokens - 1) / rules_.block_tokens;
  }

  Content content(const Sequence& sequence, const Tokens& tokens, std::size_t block) const {
    const auto end = static_cast<std::ptrdiff_t>((block + 1) * rules_.block_tokens);
    return {sequence.salt, Tokens(tokens.begin(), tokens.begin() + end)};
  }

  // Full blocks from the start, never the last token.
  std::vector<Handle> found(const Sequence& sequence, const Tokens& tokens) const {
    std::vector<Handle> blocks;
    while ((blocks.size() + 1) * rules_.block_tokens < tokens.size()) {
      const auto entry = index_.find(content(sequence, tokens, blocks.size()));
      if (entry == index_.end()) break;
      blocks.push_back(entry->second);
    }
    return blocks;
  }

  // The block that goes on like `tokens` the longest; of equals the one published last.
  void match_part(Sequence& sequence, const Tokens& tokens) {
    Handle best;
    std::size_t longest = 0;
    for (const auto& [content, block] : index_) {
      const Tokens& held = content.second;
      if (content.first != sequence.salt || held.size() != sequence.computed + rules_.block_tokens) continue;
      std::size_t common = 0;
      while (common < held.size() && common + 1 < tokens.size() && held[common] == tokens[common]) ++common;
      const std::size_t beyond = common > sequence.computed ? common - sequence.computed : 0;
      const bool newer = best != nullptr && beyond == longest && block->serial > best->serial;
      if (beyond > longest || (beyond > 0 && newer)) {
        best = block;
        longest = beyond;
      }
    }
    if (best == nullptr) return;
    cached_.remove(best);
    sequence.table.push_back(best);
    sequence.computed += longest;
  }

  std::size_t pins(const Handle& block) const {
    std::size_t count = 0;
    for (const auto& sequence : sequences_)
      count += static_cast<std::size_t>(std::ranges::count(sequence->table, block));
    return count;
  }

  void drop_claims(const Sequence& sequence) {
    std::erase_if(claims_, [&](const auto& claim) { return claim.second == sequence.owner; });
  }

  void after_unpin(const Handle& block) {
    if (pins(block) > 0) return;
    if (block->published) {
      cache(block);
    } else {
      --alive_;
    }
  }

  void cache(const Handle& block) {
    Tokens before = block->content.second;
    before.resize(before.size() - rules_.block_tokens);
    const double first_token = static_cast<double>(before.size());
    const double cost = (1 + rules_.attention_share * first_token) * (1 + static_cast<double>(block->uses));
    block->score = std::max(clock_ + cost, block->floor);
    if (!before.empty()) {
      Block& parent = *index_.at({block->content.first, before});
      parent.floor = std::max(parent.floor, block->score);
    }
    cached_.push_back(block);
  }

  // The first to go: by release, or by score and, among equals, by release.
  Handle victim() const {
    if (rules_.eviction == Eviction::kLru) return cached_.front();
    return *std::ranges::min_element(cached_, {}, [](const Handle& block) { return block->score; });
  }

  // What `block` held is no more.
  void forget(Handle block) {
    clock_ = std::max(clock_, block->score);
    cached_.remove(block);
    *block = {};
  }
  void lose(Handle block) {
    lost_.push_back(block->content.second);
    index_.erase(block->content);
    forget(block);
  }

  Handle obtain() {
    if (free_blocks() == 0) {
      lose(victim());
      --alive_;
    }
    ++alive_;
    return std::make_shared<Block>();
  }

  Rules rules_;
  std::size_t free_swap_;
  std::size_t alive_ = 0;  // in use or cached
  std::size_t next_serial_ = 1;
  double clock_ = 0;
  std::map<Content, Handle> index_;
  std::map<Content, SequenceId> claims_;
  std::list<Handle> cached_;  // in the order of release
  std::vector<Tokens> lost_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

}  // namespace folio::kv::testing
