// For tests: the rules of KvCache as plainly as they can be written, with no hash, no block numbers and no
// lists to keep in order. A block is an object, its content is the whole prefix it ends, pins are counted by
// looking.
#pragma once

#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace folio::kv::testing {

class Oracle {
 public:
  using Tokens = std::vector<TokenId>;
  using Content = std::pair<std::string, Tokens>;  // salt, all tokens up to the end of the block
  struct Block {
    bool published = false;
    Content content;
    std::size_t serial = 0;  // order of publication
  };
  using Handle = std::shared_ptr<Block>;
  struct Sequence {
    std::string salt;
    std::vector<Handle> table;
    std::size_t computed = 0;
    std::size_t published = 0;  // blocks
  };

  Oracle(std::size_t blocks, std::size_t block_tokens) : blocks_(blocks), block_tokens_(block_tokens) {}

  std::size_t free_blocks() const { return blocks_ - alive_; }
  std::size_t cached_blocks() const { return oldest_first_.size(); }

  Sequence* open(std::string salt) {
    sequences_.push_back(std::make_unique<Sequence>());
    sequences_.back()->salt = std::move(salt);
    return sequences_.back().get();
  }

  void close(Sequence* sequence) {
    truncate(*sequence, 0);
    std::erase_if(sequences_, [&](const auto& owned) { return owned.get() == sequence; });
  }

  Sequence* fork(const Sequence& parent) {
    Sequence* child = open(parent.salt);
    *child = parent;
    child->table.resize(blocks_for(parent.computed));
    return child;
  }

  std::size_t match(Sequence& sequence, const Tokens& tokens) {
    while ((sequence.table.size() + 1) * block_tokens_ < tokens.size()) {
      const auto found = index_.find(content(sequence, tokens, sequence.table.size()));
      if (found == index_.end()) break;
      oldest_first_.remove(found->second);
      sequence.table.push_back(found->second);
    }
    sequence.published = sequence.table.size();
    sequence.computed = sequence.published * block_tokens_;
    match_part(sequence, tokens);
    return sequence.computed;
  }

  // The block that goes on like `tokens` the longest; of equals the one published last.
  void match_part(Sequence& sequence, const Tokens& tokens) {
    Handle best;
    std::size_t longest = 0;
    for (const auto& [content, block] : index_) {
      const Tokens& held = content.second;
      if (content.first != sequence.salt || held.size() != sequence.computed + block_tokens_) continue;
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
    oldest_first_.remove(best);
    sequence.table.push_back(best);
    sequence.computed += longest;
  }

  bool reserve(Sequence& sequence, std::size_t upto) {
    if (upto == sequence.computed) return true;
    const std::size_t missing = std::max(blocks_for(upto), sequence.table.size()) - sequence.table.size();
    const std::size_t begun = sequence.computed / block_tokens_;
    const bool partial = sequence.computed % block_tokens_ != 0;
    const bool shared = partial && pins(sequence.table[begun]) > 1;
    const bool copy = shared || (partial && sequence.table[begun]->published);
    const std::size_t obtainable = free_blocks() + cached_blocks();
    if (missing + (shared ? 1 : 0) > obtainable) return false;
    for (std::size_t i = 0; i < missing; ++i) sequence.table.push_back(obtain());
    if (copy && missing < obtainable) {
      Handle old = std::exchange(sequence.table[begun], obtain());
      after_unpin(old);
    } else if (copy) {
      index_.erase(sequence.table[begun]->content);
      *sequence.table[begun] = {};
    }
    return true;
  }

  void commit(Sequence& sequence, const Tokens& tokens, std::size_t computed) {
    sequence.computed = computed;
    for (; (sequence.published + 1) * block_tokens_ <= computed; ++sequence.published) {
      Handle& block = sequence.table[sequence.published];
      const auto [entry, is_new] = index_.try_emplace(content(sequence, tokens, sequence.published), block);
      if (is_new) {
        *block = {.published = true, .content = entry->first, .serial = next_serial_++};
      } else if (entry->second != block) {
        oldest_first_.remove(entry->second);
        const Handle old = std::exchange(block, entry->second);
        after_unpin(old);
      }
    }
  }

  void truncate(Sequence& sequence, std::size_t tokens) {
    while (sequence.table.size() > blocks_for(tokens)) {
      const Handle last = sequence.table.back();
      sequence.table.pop_back();
      after_unpin(last);
    }
    sequence.computed = tokens;
    sequence.published = std::min(sequence.published, tokens / block_tokens_);
  }

  bool reset() {
    if (alive_ > cached_blocks()) return false;
    index_.clear();
    oldest_first_.clear();
    alive_ = 0;
    return true;
  }

 private:
  std::size_t blocks_for(std::size_t tokens) const { return (tokens + block_tokens_ - 1) / block_tokens_; }

  Content content(const Sequence& sequence, const Tokens& tokens, std::size_t block) const {
    return {sequence.salt, Tokens(tokens.begin(),
                                  tokens.begin() + static_cast<std::ptrdiff_t>((block + 1) * block_tokens_))};
  }

  std::size_t pins(const Handle& block) const {
    std::size_t count = 0;
    for (const auto& sequence : sequences_)
      count += static_cast<std::size_t>(std::ranges::count(sequence->table, block));
    return count;
  }

  void after_unpin(const Handle& block) {
    if (pins(block) > 0) return;
    if (block->published) {
      oldest_first_.push_back(block);
    } else {
      --alive_;
    }
  }

  Handle obtain() {
    if (free_blocks() == 0) {
      index_.erase(oldest_first_.front()->content);
      oldest_first_.pop_front();
      --alive_;
    }
    ++alive_;
    return std::make_shared<Block>();
  }

  std::size_t blocks_;
  std::size_t block_tokens_;
  std::size_t alive_ = 0;  // in use or cached
  std::size_t next_serial_ = 1;
  std::map<Content, Handle> index_;
  std::list<Handle> oldest_first_;  // cached
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

}  // namespace folio::kv::testing
