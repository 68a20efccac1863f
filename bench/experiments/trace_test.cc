#include "trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace folio::experiments {
namespace {

using ::testing::HasSubstr;

std::string written(const std::string& text) {
  const auto path = std::filesystem::path(::testing::TempDir()) / "trace.jsonl";
  std::ofstream(path) << text;
  return path.string();
}

// Two conversations that take turns, and a long request that nobody repeats.
constexpr const char* kTurns =
    "{\"timestamp\": 0, \"hash_ids\": [0, 1]}\n"
    "{\"timestamp\": 1, \"hash_ids\": [5, 6, 7]}\n"
    "{\"timestamp\": 2, \"hash_ids\": [0, 1, 2]}\n"
    "{\"timestamp\": 3, \"hash_ids\": [10, 11, 12, 13]}\n"
    "{\"timestamp\": 4, \"hash_ids\": [5, 6, 8]}\n"
    "{\"timestamp\": 5, \"hash_ids\": [0, 1, 2, 3]}\n";

TEST(BenchTrace, FindsWhatIsThere) {
  const auto trace = read_trace(written(kTurns));
  ASSERT_TRUE(trace.has_value()) << trace.error().message;
  EXPECT_EQ(trace->blocks, 12u);
  EXPECT_EQ(trace->references, 19u);
  const auto hits = [&](std::size_t blocks, kv::Eviction eviction = kv::Eviction::kLru) {
    return replay(*trace, blocks, eviction)->hit_blocks;
  };
  EXPECT_EQ(hits(100), 2u + 2u + 3u);
  EXPECT_EQ(hits(12), 7u);
  // Ten: all up to 13 are there; then 8 pushes the least recent out, which is 7: the end of what came first.
  EXPECT_EQ(hits(10), 7u);
  // Six: [5 6] are left of the second when the fourth has come; then [0 1] of the third.
  EXPECT_EQ(hits(6), 2u + 0u + 0u);
  EXPECT_EQ(hits(3), 0u);  // the fourth and the sixth do not fit and are not kept
  EXPECT_EQ(hits(100, kv::Eviction::kCost), 7u);
}

TEST(BenchTrace, RefusesWhatIsNoTrace) {
  const auto message = [](const std::string& text) {
    const auto trace = read_trace(written(text));
    return trace ? std::string("accepted") : trace.error().message;
  };
  EXPECT_THAT(message("{\"hash_ids\": [1]}\n{\"ids\": []}\n"), HasSubstr("line 2"));
  EXPECT_THAT(message("{\"hash_ids\": [-1]}\n"), HasSubstr("hash_ids"));
  EXPECT_THAT(message("{\"hash_ids\": [4000000000]}\n"), HasSubstr("hash_ids"));
  EXPECT_THAT(message("[1, 2]\n"), HasSubstr("line 1"));
  EXPECT_THAT(message("{\n"), HasSubstr("line 1"));
  EXPECT_THAT(message(""), HasSubstr("no requests"));
  EXPECT_THAT(read_trace("/nowhere/trace").error().message, HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace folio::experiments
