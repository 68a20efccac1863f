#include "text/utf8.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace folio::text {
namespace {

std::string repaired(std::string_view bytes, std::size_t piece_bytes) {
  Utf8Repair repair;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += piece_bytes)
    repair.push(bytes.substr(at, piece_bytes), out);
  repair.finish(out);
  return out;
}

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(first_invalid_utf8("aé€😀"), std::nullopt);
  EXPECT_EQ(first_invalid_utf8(std::string_view("a\0b", 3)), std::nullopt);
  EXPECT_EQ(first_invalid_utf8("a\xFF"), 1u);
  EXPECT_EQ(first_invalid_utf8("ab\xC3"), 2u);            // cut off
  EXPECT_EQ(first_invalid_utf8("\xC0\x80"), 0u);          // overlong
  EXPECT_EQ(first_invalid_utf8("\xE0\x9F\xBF"), 0u);      // overlong
  EXPECT_EQ(first_invalid_utf8("\xED\xA0\x80"), 0u);      // surrogate
  EXPECT_EQ(first_invalid_utf8("\xF4\x90\x80\x80"), 0u);  // above U+10FFFF
  EXPECT_EQ(first_invalid_utf8("\xF4\x8F\xBF\xBF"), std::nullopt);
}

// The example of Unicode 15, table 3-11: one replacement per maximal ill-formed part.
TEST(Utf8, ReplacesAsUnicodeRecommends) {
  const std::string expected = "\uFFFD\uFFFD\uFFFD\uFFFDA";
  EXPECT_EQ(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 100), expected);
  EXPECT_EQ(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 1), expected);
  EXPECT_EQ(repaired("\xED\xA0\x80", 1), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(repaired("\xF0\x9F\x98", 2), "\uFFFD");
}

RC_GTEST_PROP(Utf8, PiecesDoNotMatter, ()) {
  const auto byte = rc::gen::element<char>('a', '\x80', '\xBF', '\xC3', '\xE2', '\xED', '\xA0', '\xF0',
                                           '\x9F', '\xF4', '\x90');
  const auto bytes = *rc::gen::container<std::string>(byte);
  const std::string whole = repaired(bytes, bytes.size() + 1);
  RC_ASSERT(!first_invalid_utf8(whole).has_value());
  for (std::size_t piece = 1; piece < 5; ++piece) RC_ASSERT(repaired(bytes, piece) == whole);
  if (!first_invalid_utf8(bytes)) RC_ASSERT(whole == bytes);
}

}  // namespace
}  // namespace folio::text
