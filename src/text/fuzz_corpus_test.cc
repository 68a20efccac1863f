// Runs the committed inputs of tests/fuzz/corpus/ through the fuzzers' targets of this floor, in every build.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "fuzz/text_targets.h"

namespace folio::text {
namespace {

namespace fs = std::filesystem;

std::size_t run_all(const char* name, void (*target)(std::string_view)) {
  const fs::path root = fs::path(__FILE__).parent_path().parent_path().parent_path();
  std::size_t inputs = 0;
  for (const auto& entry : fs::directory_iterator(root / "tests" / "fuzz" / "corpus" / name)) {
    std::ifstream in(entry.path(), std::ios::binary);
    target(std::string(std::istreambuf_iterator<char>(in), {}));
    ++inputs;
  }
  return inputs;
}

TEST(TextFuzzCorpus, TemplatesHaveNoSurprises) { EXPECT_GE(run_all("template", fuzz::template_target), 6u); }
TEST(TextFuzzCorpus, TokenizersHaveNoSurprises) { EXPECT_GE(run_all("tokenizer", fuzz::tokenizer_target), 3u); }

}  // namespace
}  // namespace folio::text
