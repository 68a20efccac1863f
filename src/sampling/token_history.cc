#include "sampling/token_history.h"

#include <algorithm>
#include <bit>

namespace folio::sampling {
namespace {

constexpr std::size_t kMinSlots = 64;

// Multiplication by the golden ratio's bits spreads neighbouring ids over the table.
std::size_t home_slot(TokenId token, std::size_t slots) {
  const auto mixed = static_cast<std::uint64_t>(raw(token)) * 0x9E37'79B9'7F4A'7C15U;
  return static_cast<std::size_t>(mixed >> 32) & (slots - 1);
}

}  // namespace

void TokenHistory::reserve(std::size_t different_tokens) {
  entries_.reserve(different_tokens);
  const std::size_t slots = std::bit_ceil(std::max(kMinSlots, different_tokens * 2));
  if (slots > slots_.size()) rehash(slots);
}

void TokenHistory::clear() {
  entries_.clear();
  std::ranges::fill(slots_, 0);
}

void TokenHistory::add_prompt(std::span<const TokenId> tokens) {
  for (TokenId token : tokens) ++entry(token).in_prompt;
}

void TokenHistory::add_output(TokenId token) { ++entry(token).in_output; }

TokenHistory::Entry& TokenHistory::entry(TokenId token) {
  if ((entries_.size() + 1) * 2 > slots_.size()) rehash(std::max(kMinSlots, slots_.size() * 2));
  std::size_t slot = home_slot(token, slots_.size());
  while (slots_[slot] != 0) {
    Entry& found = entries_[slots_[slot] - 1];
    if (found.token == token) return found;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  entries_.push_back({.token = token});
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  return entries_.back();
}

void TokenHistory::rehash(std::size_t slots) {
  slots_.assign(slots, 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t slot = home_slot(entries_[i].token, slots);
    while (slots_[slot] != 0) slot = (slot + 1) & (slots - 1);
    slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

}  // namespace folio::sampling
