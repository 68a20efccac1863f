#include "app/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace folio::app {
namespace {

TEST(Nearest, DistanceCountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("run", "run"), 0u);
  EXPECT_EQ(edit_distance("rnu", "run"), 1u);  // a swap is one edit
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Nearest, SuggestsOnlyWhatIsClose) {
  const std::vector<std::string> known = {"--temperature", "--top-k", "--top-p", "--threads"};
  EXPECT_EQ(did_you_mean("--tempreature", known), " (did you mean --temperature?)");
  EXPECT_EQ(did_you_mean("--temperat", known), " (did you mean --temperature?)");
  EXPECT_EQ(did_you_mean("--zzz", known), "");
  EXPECT_EQ(did_you_mean(std::string(1000, 'x'), known), "");
}

}  // namespace
}  // namespace folio::app
