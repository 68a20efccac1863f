// Runs the committed inputs of tests/fuzz/corpus/ through the fuzzers' targets, and keeps the seeds up to
// date: FOLIO_WRITE_SEEDS=1 weights_test --gtest_filter='FuzzCorpus.*' writes them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/reader_targets.h"
#include "support/gguf_builder.h"
#include "support/safetensors_builder.h"

namespace folio::weights {
namespace {

namespace fs = std::filesystem;

fs::path corpus() {
  return fs::path(__FILE__).parent_path().parent_path().parent_path() / "tests" / "fuzz" / "corpus";
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A tensor of every type that folio reads.
std::string all_types_gguf() {
  test::GgufBuilder file;
  for (const auto& type : kernels::tensor_types()) {
    file.tensor({.name = std::string(type.name),
                 .dims = {type.elements},
                 .type = static_cast<std::uint32_t>(type.type)});
  }
  return file.build();
}

std::vector<std::pair<std::string, std::string>> seeds() {
  return {
      {"gguf/everything", test::everything_gguf().build()},
      {"gguf/all_types", all_types_gguf()},
      {"gguf/empty", test::GgufBuilder().build()},
      {"gguf/split",
       test::GgufBuilder().add("split.no", std::uint16_t{1}).add("split.count", std::uint16_t{3}).build()},
      {"safetensors/small",
       test::safetensors_file({{"a", "F32", {2, 1}, "12345678"}, {"b", "U8", {3}, "abc"}})},
      {"safetensors/scalar", test::safetensors_file({{"c", "BF16", {}, "xy"}, {"d", "I64", {0}, ""}})},
      {"safetensors/empty", test::safetensors_file("{}", "")},
      {"json/config",
       R"({"model_type":"llama","rope_scaling":{"type":"linear","factor":2.5},"eos":[1,2],"tie":true,"x":null})"},
  };
}

TEST(FuzzCorpus, SeedsAreWhatTheBuildersWrite) {
  for (const auto& [name, content] : seeds()) {
    const fs::path path = corpus() / name;
    if (std::getenv("FOLIO_WRITE_SEEDS") != nullptr) {
      fs::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary) << content;
    }
    EXPECT_EQ(read(path), content) << path;
    EXPECT_LT(content.size(), 10'000u) << path;
  }
}

TEST(FuzzCorpus, EveryInputIsReadOrRefused) {
  const std::vector<std::pair<std::string, void (*)(fuzz::Bytes)>> targets = {
      {"gguf", fuzz::gguf_target}, {"safetensors", fuzz::safetensors_target}, {"json", fuzz::json_target}};
  for (const auto& [folder, target] : targets) {
    std::size_t inputs = 0;
    for (const auto& entry : fs::directory_iterator(corpus() / folder)) {
      SCOPED_TRACE(entry.path());
      const std::string input = read(entry.path());
      target(std::as_bytes(std::span(input)));
      ++inputs;
    }
    EXPECT_GT(inputs, 0u) << folder;
  }
}

}  // namespace
}  // namespace folio::weights
