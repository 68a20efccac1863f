#include "api/notes.h"

#include <gtest/gtest.h>

namespace folio::api {
namespace {

TEST(Notes, NamesEachFieldOnce) {
  Notes notes;
  EXPECT_TRUE(notes.empty());
  notes.ignore("mirostat");
  notes.ignore("messages[0].id");
  notes.ignore("messages[17].id");
  EXPECT_EQ(notes.ignored_header(), "mirostat, messages[].id");
  EXPECT_EQ(notes.clamped_header(), "");
  notes.max_tokens = 7602;
  EXPECT_EQ(notes.clamped_header(), "max_tokens=7602");
  EXPECT_EQ(to_text(notes.to_json()), R"({"ignored":["mirostat","messages[].id"],"max_tokens":7602})");
}

TEST(Notes, AHeaderIsPrintableAsciiAndBounded) {
  Notes notes;
  notes.ignore("a\r\nx-evil: 1");
  notes.ignore("\x1b[31m\xc3\xa9, b");
  EXPECT_EQ(notes.ignored_header(), "a??x-evil:?1, ?[m????b");
  for (const char c : notes.ignored_header()) EXPECT_TRUE(c >= ' ' && c < 0x7f);
  for (int i = 0; i < 100; ++i) notes.ignore("field" + std::to_string(i));
  EXPECT_EQ(notes.ignored.size(), Notes::kMostNames);

  Notes long_names;
  for (char c = 'a'; c < 'k'; ++c) long_names.ignore(std::string(200, c));
  EXPECT_EQ(long_names.ignored.size(), 2u);
  EXPECT_LE(long_names.ignored_header().size(), Notes::kMostBytes);
  Notes one;
  one.ignore(std::string(100'000, 'x'));
  EXPECT_EQ(one.ignored_header().size(), Notes::kMostBytes);
}

}  // namespace
}  // namespace folio::api
