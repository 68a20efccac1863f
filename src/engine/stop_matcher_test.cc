#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

namespace folio::engine {
namespace {

// Everything shown for a text that arrives in pieces of `size` bytes.
std::string shown(std::vector<std::string> stops, std::string_view text, std::size_t size) {
  StopMatcher matcher(std::move(stops));
  std::string result;
  for (std::size_t i = 0; i < text.size(); i += size) result += matcher.push(text.substr(i, size));
  return result + matcher.flush();
}

TEST(StopMatcher, CutsAtTheFirstStopWhateverThePieces) {
  for (std::size_t size = 1; size < 20; ++size) {
    EXPECT_EQ(shown({"END"}, "one two END three", size), "one two ");
    EXPECT_EQ(shown({"three", "two"}, "one two three", size), "one ");
    EXPECT_EQ(shown({"aab"}, "aaaab!", size), "aa");
    EXPECT_EQ(shown({"\n\n"}, "a\nb\n\nc", size), "a\nb");
  }
}

TEST(StopMatcher, TextThatOnlyBeginsLikeAStopIsShownInTheEnd) {
  for (std::size_t size = 1; size < 20; ++size) EXPECT_EQ(shown({"STOP"}, "go STO", size), "go STO");
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBecomeAStop) {
  StopMatcher matcher({"<end>"});
  EXPECT_EQ(matcher.push("text <e"), "text ");
  EXPECT_EQ(matcher.push("lse"), "<else");
  EXPECT_FALSE(matcher.found());
  EXPECT_EQ(matcher.push("<end>more"), "");
  EXPECT_TRUE(matcher.found());
  EXPECT_EQ(matcher.push("still more"), "");
  EXPECT_EQ(matcher.flush(), "");
}

}  // namespace
}  // namespace folio::engine
