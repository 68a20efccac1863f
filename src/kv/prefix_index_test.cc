#include "kv/prefix_index.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "kv/kv_testing.h"

namespace folio::kv {
namespace {

using testing::token_run;

constexpr std::size_t kTokens = testing::kBlockTokens;

BlockHash hash_number(std::uint64_t number) { return {Hash128{.low = number, .high = ~number}}; }

void expect_sound(const PrefixIndex& index) {
  const Status status = index.check_integrity();
  EXPECT_TRUE(status) << status.error().message;
}

TEST(PrefixHash, DependsOnParentTokensNamespaceAndSalt) {
  const auto tokens = token_run(5, kTokens);
  const auto other_tokens = token_run(6, kTokens);
  const std::array<std::byte, 2> space{std::byte{1}, std::byte{2}};
  std::set<std::uint64_t> seen;
  for (BlockHash root :
       {hash_root({}, ""), hash_root(space, ""), hash_root({}, "tenant"), hash_root(space, "tenant")}) {
    seen.insert(root.value.low);
    seen.insert(hash_link(root, tokens).value.low);
    seen.insert(hash_link(root, other_tokens).value.low);
    seen.insert(hash_link(hash_link(root, tokens), tokens).value.low);
  }
  EXPECT_EQ(seen.size(), 16);
}

// What a boundary between namespace and salt could be confused with.
TEST(PrefixHash, NamespaceAndSaltDoNotRunTogether) {
  const std::array<std::byte, 1> a{std::byte{'a'}};
  const std::array<std::byte, 2> ab{std::byte{'a'}, std::byte{'b'}};
  EXPECT_NE(hash_root(a, "bc"), hash_root(ab, "c"));
}

TEST(PrefixChain, ComputesEachLinkOnce) {
  static int calls;
  calls = 0;
  const LinkHash counting = [](BlockHash parent, std::span<const TokenId> tokens) {
    ++calls;
    return hash_link(parent, tokens);
  };
  auto tokens = token_run(0, 3 * kTokens);
  PrefixChain chain(hash_root({}, ""), counting, kTokens, 3);
  EXPECT_EQ(chain.at(0, tokens), hash_root({}, ""));
  const BlockHash third = chain.at(3, tokens);
  EXPECT_EQ(chain.at(3, tokens), third);
  EXPECT_EQ(calls, 3);

  chain.truncate(2);
  tokens.back() = TokenId{-7};
  EXPECT_NE(chain.at(3, tokens), third);
  EXPECT_EQ(calls, 4);
}

TEST(PrefixIndex, FindsWhatWasInsertedUntilErased) {
  PrefixIndex index(4, kTokens);
  const auto tokens = token_run(0, kTokens);
  const PrefixKey key{
      .hash = hash_number(9), .parent_hash = hash_number(0), .parent = kNoBlock, .tokens = tokens};
  EXPECT_FALSE(index.find(key));
  index.insert(key, BlockId{2});
  EXPECT_EQ(index.find(key), BlockId{2});
  EXPECT_TRUE(index.contains(BlockId{2}));
  expect_sound(index);
  index.erase(BlockId{2});
  EXPECT_FALSE(index.find(key));
  EXPECT_EQ(index.size(), 0);
  expect_sound(index);
}

// Every part of the key is compared, so equal hashes alone find nothing.
TEST(PrefixIndex, CollisionIsAMiss) {
  PrefixIndex index(8, kTokens);
  const auto tokens = token_run(0, kTokens);
  const PrefixKey root{
      .hash = hash_number(1), .parent_hash = hash_number(0), .parent = kNoBlock, .tokens = tokens};
  index.insert(root, BlockId{0});

  auto other_tokens = tokens;
  other_tokens.back() = TokenId{1000};
  PrefixKey colliding = root;
  colliding.tokens = other_tokens;
  EXPECT_FALSE(index.find(colliding));
  index.insert(colliding, BlockId{1});

  // The same tokens and hash after either of the two: two different prefixes.
  PrefixKey child = root;
  child.parent = BlockId{0};
  EXPECT_FALSE(index.find(child));
  index.insert(child, BlockId{2});
  child.parent = BlockId{1};
  EXPECT_FALSE(index.find(child));
  index.insert(child, BlockId{3});

  PrefixKey other_salt = root;
  other_salt.parent_hash = hash_number(5);
  EXPECT_FALSE(index.find(other_salt));
  expect_sound(index);

  index.erase(BlockId{2});
  EXPECT_EQ(index.find(child), BlockId{3});
  EXPECT_EQ(index.find(root), BlockId{0});
  EXPECT_EQ(index.find(colliding), BlockId{1});
  expect_sound(index);
}

TEST(PrefixIndex, EveryBlockMayBeIndexedAndReindexed) {
  constexpr std::size_t kBlocks = 100;
  PrefixIndex index(kBlocks, kTokens);
  for (std::size_t round = 0; round < 5; ++round) {
    for (std::size_t block = 0; block < kBlocks; ++block) {
      const auto tokens = token_run(static_cast<std::int32_t>(round * 1000 + block), kTokens);
      const BlockHash hash = hash_link(hash_number(0), tokens);
      const PrefixKey key{.hash = hash, .parent_hash = hash_number(0), .parent = kNoBlock, .tokens = tokens};
      if (round > 0) index.erase(static_cast<BlockId>(block));
      index.insert(key, static_cast<BlockId>(block));
      EXPECT_EQ(index.find(key), static_cast<BlockId>(block));
    }
    EXPECT_EQ(index.size(), kBlocks);
    expect_sound(index);
  }
}

TEST(PrefixIndexDeathTest, AnEntryNeedsAResidentParent) {
  PrefixIndex index(4, kTokens);
  const auto tokens = token_run(0, kTokens);
  const PrefixKey orphan{
      .hash = hash_number(1), .parent_hash = hash_number(0), .parent = BlockId{3}, .tokens = tokens};
  EXPECT_DEATH(index.insert(orphan, BlockId{0}), "past is not resident");
}

}  // namespace
}  // namespace folio::kv
