#include "base/hash.h"

#include <gtest/gtest.h>

#include <string_view>

namespace folio {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// The value for no bytes and no seed in XXH3's own test vectors: hashes on disk must not change with a build.
TEST(Hash128, IsXxh3) {
  EXPECT_EQ(hash128({}), (Hash128{.low = 0x6001C324468D497F, .high = 0x99AA06D3014798D8}));
}

TEST(Hash128, HashesTheConcatenation) {
  EXPECT_EQ(hash128({bytes("ab"), bytes(""), bytes("cdef")}), hash128({bytes("abcdef")}));
  EXPECT_NE(hash128({bytes("abcdef")}), hash128({bytes("abcdeg")}));
}

}  // namespace
}  // namespace folio
