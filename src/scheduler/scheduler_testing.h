// For tests of this floor: blocks that are only counted, with prefixes that have names instead of tokens.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "scheduler/sequence_blocks.h"

namespace folio::scheduler::testing {

inline constexpr std::size_t kBlockTokens = 16;

// Sequences that name the same prefix share its full blocks, which stay cached until room is needed.
class CountedBlocks final : public SequenceBlocks {
 public:
  explicit CountedBlocks(std::size_t blocks) : blocks_(blocks) {}

  void add(SequenceId id, std::size_t known, const std::string& prefix = "", std::size_t prefix_tokens = 0) {
    sequences_[id] = {.known = known, .prefix = prefix, .prefix_blocks = prefix_tokens / kBlockTokens};
  }
  void advance(SequenceId id, std::size_t computed, std::size_t known) {
    Sequence& s = sequences_.at(id);
    s.known = known;
    if (s.prefix.empty() || prefixes_[s.prefix].producer != id) return;
    Prefix& prefix = prefixes_[s.prefix];
    const std::size_t done = std::min(s.prefix_blocks, computed / kBlockTokens);
    prefix.resident = std::max(prefix.resident, done);
    s.shared = done;
    if (done == s.prefix_blocks) prefix.producer.reset();
  }
  void remove(SequenceId id) {
    close(id);
    sequences_.erase(id);
  }

  std::optional<SequenceId> producer_of(SequenceId id) override {
    const Sequence& s = sequences_.at(id);
    return s.prefix.empty() ? std::nullopt : prefixes_[s.prefix].producer;
  }
  Opening open(SequenceId id, std::size_t spare_blocks) override {
    Sequence& s = sequences_.at(id);
    Prefix* prefix = s.prefix.empty() ? nullptr : &prefixes_[s.prefix];
    const std::size_t hit = prefix == nullptr ? 0 : std::min(prefix->resident, (s.known - 1) / kBlockTokens);
    s.held = s.shared = hit;
    s.is_open = true;
    if (blocks_for(s.known) - hit + spare_blocks > obtainable()) {
      close(id);
      return {.answer = Opening::Answer::kNoRoom};
    }
    if (prefix != nullptr && prefix->resident < s.prefix_blocks) prefix->producer = id;
    return {.answer = Opening::Answer::kReady, .computed = hit * kBlockTokens};
  }
  bool reserve(SequenceId id, std::size_t upto) override {
    Sequence& s = sequences_.at(id);
    const std::size_t needed = blocks_for(upto);
    if (needed > s.held && needed - s.held > obtainable()) return false;
    s.held = std::max(s.held, needed);
    evict();
    return true;
  }
  std::size_t missing_blocks(SequenceId id) const override {
    const Sequence& s = sequences_.at(id);
    return std::max(blocks_for(s.known), s.held) - s.held;
  }
  void preempt(SequenceId id) override { close(id); }

  std::size_t in_use() const {
    std::size_t sum = 0;
    std::map<std::string, std::size_t> shared;  // the longest use of each prefix
    for (const auto& [id, s] : sequences_) {
      sum += s.held - s.shared;
      if (s.shared > 0) shared[s.prefix] = std::max(shared[s.prefix], s.shared);
    }
    for (const auto& [name, count] : shared) sum += count;
    return sum;
  }
  std::size_t obtainable() const { return blocks_ - in_use(); }

 private:
  struct Sequence {
    std::size_t known = 0;
    std::string prefix;
    std::size_t prefix_blocks = 0;
    std::size_t held = 0, shared = 0;  // blocks in its table; of these, the prefix's
    bool is_open = false;
  };
  struct Prefix {
    std::size_t resident = 0;  // blocks
    std::optional<SequenceId> producer;
  };

  static std::size_t blocks_for(std::size_t tokens) { return (tokens + kBlockTokens - 1) / kBlockTokens; }

  void close(SequenceId id) {
    Sequence& s = sequences_.at(id);
    s.held = s.shared = 0;
    s.is_open = false;
    if (!s.prefix.empty() && prefixes_[s.prefix].producer == id) prefixes_[s.prefix].producer.reset();
  }
  void evict() {
    for (auto& [name, prefix] : prefixes_) {
      std::size_t cached = 0, used = 0;
      for (const auto& [other, p] : prefixes_) cached += p.resident;
      for (const auto& [id, s] : sequences_) used += s.held - s.shared;
      const bool in_use = std::ranges::any_of(
          sequences_, [&](const auto& s) { return s.second.shared > 0 && s.second.prefix == name; });
      if (used + cached > blocks_ && !in_use) prefix.resident = 0;
    }
  }

  std::size_t blocks_;
  std::map<SequenceId, Sequence> sequences_;
  std::map<std::string, Prefix> prefixes_;
};

}  // namespace folio::scheduler::testing
