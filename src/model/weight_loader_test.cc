#include "model/weight_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "kernels/quant/dequantize.h"
#include "support/temp_dir.h"

namespace folio::model {
namespace {

using kernels::TensorType;
using testing::HasSubstr;

// A store of tensors in memory: w [20, 64] and an embedding [20, 64] in F32, n [64], odd [3, 5].
class WeightLoaderTest : public testing::Test {
 protected:
  WeightLoaderTest() {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<float>((i * 37) % 101) / 50 - 1;
    const std::span bytes = std::as_bytes(std::span(values_));
    std::vector<weights::Tensor> tensors;
    tensors.push_back(
        {.name = "w", .type = TensorType::kF32, .shape = {20, 64}, .data = bytes.first(20 * 64 * 4)});
    tensors.push_back({.name = "token_embd.weight",
                       .type = TensorType::kF32,
                       .shape = {20, 64},
                       .data = bytes.first(20 * 64 * 4)});
    tensors.push_back({.name = "n", .type = TensorType::kF32, .shape = {64}, .data = bytes.first(64 * 4)});
    tensors.push_back({.name = "odd", .type = TensorType::kF32, .shape = {3, 5}, .data = bytes.first(60)});
    store_ = *weights::TensorStore::make("tiny", {}, std::move(tensors));
  }

  WeightLoader loader(LoadOptions options = {}) { return *WeightLoader::create(store_, pool_, options); }

  std::vector<float> values_ = std::vector<float>(20 * 64);
  weights::TensorStore store_;
  platform::ThreadPool pool_{3};
};

TEST_F(WeightLoaderTest, KeepsWeightsInTheirType) {
  WeightLoader load = loader();
  const auto matrix = load.matrix("w", 20, 64);
  ASSERT_TRUE(matrix);
  EXPECT_EQ(matrix->shape.type, TensorType::kF32);
  std::vector<float> row(64);
  for (std::size_t r = 0; r < 20; ++r) {
    kernels::unpack_row(*matrix, r, row.data());
    EXPECT_EQ(std::memcmp(row.data(), values_.data() + r * 64, 64 * sizeof(float)), 0) << r;
  }
}

TEST_F(WeightLoaderTest, QuantisesLayersAndKeepsEmbeddingsWider) {
  WeightLoader load = loader({.quantize = TensorType::kQ4_0});
  EXPECT_EQ(load.matrix("w", 20, 64)->shape.type, TensorType::kQ4_0);
  const auto embedding = load.matrix("token_embd.weight", 20, 64);
  EXPECT_EQ(embedding->shape.type, TensorType::kQ8_0);
  EXPECT_EQ(load.matrix("odd", 3, 5)->shape.type, TensorType::kF32);  // 5 is no whole block
  std::vector<float> row(64);
  kernels::unpack_row(*embedding, 7, row.data());
  for (std::size_t i = 0; i < 64; ++i) EXPECT_NEAR(row[i], values_[7 * 64 + i], 1.0 / 127);
}

TEST_F(WeightLoaderTest, PackedBytesAreTheFormula) {
  WeightLoader load = loader();
  const auto w = load.matrix("w", 20, 64);
  EXPECT_EQ(w->shape.packed_bytes(), 2u * 64 * 16 * 4);  // two panels of 16 outputs
  ASSERT_TRUE(load.matrix("token_embd.weight", 20, 64) && load.vector("n", 64) &&
              load.matrix("odd", 3, 5));
  EXPECT_EQ(load.finish("llama")->used_bytes, 2u * (2 * 64 * 16 * 4) + 5 * 16 * 4);
}

TEST_F(WeightLoaderTest, ChecksWithoutReadingAnything) {
  bool reported = false;
  LoadOptions options{.progress = [&](std::size_t, std::size_t) { reported = true; }};
  WeightLoader check = WeightLoader::checking(store_, options);
  EXPECT_EQ(check.matrix("w", 20, 64)->data, nullptr);
  EXPECT_TRUE(check.vector("n", 64)->empty());
  EXPECT_THAT(check.matrix("w", 21, 64).error().message, HasSubstr("[20, 64]"));
  EXPECT_THAT(check.vector("absent", 64).error().message, HasSubstr("absent"));
  EXPECT_FALSE(reported);
}

TEST_F(WeightLoaderTest, NamesTheFirstTensorThatNobodyAskedFor) {
  for (const bool checks : {true, false}) {
    WeightLoader load = checks ? WeightLoader::checking(store_, {}) : loader();
    ASSERT_TRUE(load.matrix("token_embd.weight", 20, 64));
    EXPECT_THAT(load.finish("llama").error().message,
                HasSubstr("tiny: tensor 'w' (and 2 more) is no part of llama"));
    ASSERT_TRUE(load.matrix("w", 20, 64) && load.matrix("odd", 3, 5));
    EXPECT_THAT(load.finish("llama").error().message, HasSubstr("tensor 'n' is no part"));
    ASSERT_TRUE(load.optional_vector("n", 64));
    EXPECT_TRUE(load.finish("llama").has_value());
  }
}

TEST_F(WeightLoaderTest, TheDigestNamesNamesAndContentsOfWhatWasRead) {
  const auto digest = [&] {
    WeightLoader load = loader();
    EXPECT_TRUE(load.matrix("w", 20, 64) && load.matrix("token_embd.weight", 20, 64) &&
                load.vector("n", 64) && load.matrix("odd", 3, 5));
    return load.finish("llama")->digest;
  };
  const Hash128 same = digest();
  EXPECT_EQ(digest(), same);
  for (const std::size_t number : {0u, 700u, 1279u}) {
    const float kept = std::exchange(values_[number], 3.0F);
    EXPECT_NE(digest(), same) << number;
    values_[number] = kept;
  }
  EXPECT_EQ(digest(), same);
}

// What bytes() says before anything is taken is what the matrices take, whatever they become.
TEST_F(WeightLoaderTest, BytesAreWhatLoadingTakes) {
  for (const LoadOptions& options : {LoadOptions{}, LoadOptions{.quantize = TensorType::kQ4_0},
                                     LoadOptions{.arithmetic = kernels::Arithmetic::kFloat}}) {
    const WeightLoader::Bytes bytes = WeightLoader::bytes(store_, options);
    WeightLoader load = loader(options);
    for (const char* name : {"w", "token_embd.weight"}) ASSERT_TRUE(load.matrix(name, 20, 64));
    ASSERT_TRUE(load.matrix("odd", 3, 5) && load.vector("n", 64));
    const auto memory = load.finish("llama");
    ASSERT_TRUE(memory.has_value());
    EXPECT_EQ(memory->arena.size(), bytes.packed);
    EXPECT_LE(bytes.packed - memory->used_bytes, 3u * 64);  // each begins on a cache line
    EXPECT_EQ(bytes.vectors, 64 * sizeof(float));
    EXPECT_EQ(bytes.largest_tensor, 20u * 64 * 4);
  }
}

TEST_F(WeightLoaderTest, ReportsProgressToTheEnd) {
  std::size_t last = 0, total = 0;
  WeightLoader load =
      loader({.progress = [&](std::size_t done, std::size_t all) { last = done, total = all; }});
  ASSERT_TRUE(load.matrix("w", 20, 64) && load.matrix("token_embd.weight", 20, 64) && load.vector("n", 64) &&
              load.matrix("odd", 3, 5));
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, store_.total_bytes());
}

// Another process shortens the file while it is loaded.
TEST_F(WeightLoaderTest, AFileCutShortIsAnErrorThatNamesIt) {
  const test::TempDir dir;
  const std::string path = dir.write("model", std::string(20 * 64 * 4, 'x'));
  std::vector<platform::MappedFile> files;
  files.push_back(*platform::MappedFile::open(path));
  const auto bytes = files.front().bytes();
  std::vector<weights::Tensor> tensors;
  tensors.push_back({.name = "w", .type = TensorType::kF32, .shape = {20, 64}, .data = bytes});
  tensors.push_back({.name = "n", .type = TensorType::kF32, .shape = {64}, .data = bytes.first(64 * 4)});
  const auto store = *weights::TensorStore::make("tiny", std::move(files), std::move(tensors));
  WeightLoader load = *WeightLoader::create(store, pool_, {});
  EXPECT_TRUE(load.vector("n", 64));
  std::filesystem::resize_file(path, 100);
  EXPECT_THAT(load.matrix("w", 20, 64).error().message,
              HasSubstr(path + ": the file was shortened"));
  EXPECT_THAT(load.vector("n", 64).error().message, HasSubstr(path + ": the file was shortened"));
}

TEST_F(WeightLoaderTest, NamesModelAndTensor) {
  WeightLoader load = loader();
  EXPECT_THAT(load.matrix("absent", 1, 1).error().message, HasSubstr("absent"));
  EXPECT_THAT(load.matrix("w", 21, 64).error().message,
              HasSubstr("tiny: tensor w is [20, 64]; the configuration says [21, 64]"));
  EXPECT_THAT(load.matrix("n", 1, 64).error().message, HasSubstr("tensor n is [64]"));
  EXPECT_THAT(load.vector("w", 20 * 64).error().message, HasSubstr("tensor w"));
  EXPECT_TRUE(load.optional_vector("absent", 3)->empty());
}

}  // namespace
}  // namespace folio::model
