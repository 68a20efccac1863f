// A made model is the same bytes everywhere, has the weights it promises, and loads and generates.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <sstream>

#include "base/hash.h"
#include "engine/engine.h"
#include "kernels/quant/dequantize.h"
#include "random_weights.h"
#include "recipe.h"
#include "support/temp_dir.h"
#include "vocabulary.h"
#include "weights/open.h"
#include "write_model.h"

namespace folio::model_maker {
namespace {

using kernels::TensorType;

// 256 is the block of Q4_K; the head size is not hidden / heads.
ModelShape tiny() {
  return {.name = "tiny",
          .hidden = 256,
          .layers = 2,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 64,
          .ffn = 512,
          .vocab = 1000,
          .context = 256};
}

std::string file_bytes(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string make(const test::TempDir& dir, const ModelShape& shape, TensorType type, std::uint64_t seed = 1,
                 int threads = 1) {
  const std::string path = dir.file("model.gguf");
  const auto whole = complete(shape);
  EXPECT_TRUE(whole.has_value()) << whole.error().message;
  const auto recipe = dense_llama(*whole, type);
  EXPECT_TRUE(recipe.has_value()) << recipe.error().message;
  const Status written = write_model(*recipe, {.path = path, .seed = seed, .threads = threads});
  EXPECT_TRUE(written.has_value()) << written.error().message;
  return path;
}

std::string digest(const std::string& bytes) {
  const Hash128 hash = hash128({std::as_bytes(std::span(bytes.data(), bytes.size()))});
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

// What every machine writes. A change here makes every figure measured on made models another one.
TEST(ModelMaker, TheSameBytesOnEveryMachine) {
  const test::TempDir dir;
  const std::map<std::string, std::string> known = {
      {"q4_0", "cec853074bd70e7a072bce141a58ee4e"}, {"q8_0", "469f65fc39035a51d49c6f75732ba27b"},
      {"q4_k", "2cd5b608f4f640c3e6ed6ae1fad6f49b"}, {"bf16", "2ac78adb34da6cd998b7ac2f93750f38"},
      {"f16", "330dd00ec08d6fa7d014f5cb72394344"},  {"f32", "6075fd2c1efba102cae5c06fe31587a3"}};
  for (const auto& [name, expected] : known)
    EXPECT_EQ(digest(file_bytes(make(dir, tiny(), *weight_type(name)))), expected) << name;
  // All kinds of merges are in it, unlike in a tiny one.
  std::string tokens;
  for (const std::string& token : make_vocabulary(128'256).tokens) tokens += token + "\n";
  EXPECT_EQ(digest(tokens), "c1c4f0b50bfc3a621f2883ca8f2d1eab");
}

TEST(ModelMaker, ThreadsChangeNothingAndTheSeedEverything) {
  const test::TempDir dir;
  const std::string one = file_bytes(make(dir, tiny(), TensorType::kQ4_0));
  EXPECT_EQ(file_bytes(make(dir, tiny(), TensorType::kQ4_0, 1, 3)), one);
  EXPECT_NE(file_bytes(make(dir, tiny(), TensorType::kQ4_0, 2)), one);
}

TEST(ModelMaker, LoadsAndGeneratesInEveryType) {
  const test::TempDir dir;
  for (const char* name : {"q4_0", "q8_0", "q4_k", "bf16", "f16", "f32"})
    for (const std::uint32_t tied : {0u, 1u}) {
      ModelShape shape = tiny();
      shape.tied = tied;
      const auto engine = engine::Engine::load({.model = make(dir, shape, *weight_type(name)), .threads = 1});
      ASSERT_TRUE(engine.has_value()) << name << ": " << engine.error().message;
      EXPECT_EQ((*engine)->config().vocab, 1000u);
      EXPECT_EQ((*engine)->config().head_dim, 64u);
      engine::GenerationRequest request;
      request.prompt = (*engine)->tokenizer().encode("a made model").value();
      request.max_tokens = 6;
      request.sampling.temperature = 0;
      request.end_tokens = engine::EndTokens::kIgnore;
      auto job = (*engine)->submit(std::move(request));
      ASSERT_TRUE(job.has_value()) << job.error().message;
      std::size_t tokens = 0;
      while ((*engine)->step()) tokens += job->stream->take().tokens.size();
      EXPECT_EQ(tokens + job->stream->take().tokens.size(), 6u) << name;
    }
}

// Mean about 0 and a deviation of 1 / sqrt(columns), read back through the library's own dequantiser.
TEST(ModelMaker, WeightsHaveTheDeviationThatKeepsARowsSize) {
  constexpr std::size_t kColumns = 1024, kRows = 400;
  const double expected = 1 / std::sqrt(static_cast<double>(kColumns));
  for (const TensorType type : {TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kQ4_0,
                                TensorType::kQ8_0, TensorType::kQ4_K, TensorType::kQ6_K}) {
    const RandomTensor tensor{
        .seed = 3, .name = "m", .type = type, .columns = kColumns, .deviation = expected};
    std::vector<std::byte> stored(kernels::row_bytes(type, kColumns));
    std::vector<float> row(kColumns);
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < kRows; ++i) {
      fill_row(tensor, i, stored.data());
      kernels::dequantize(type, stored.data(), row.data(), row.size());
      for (const float x : row) {
        sum += x;
        squares += double{x} * x;
      }
    }
    const double n = kColumns * kRows, mean = sum / n;
    const double spread = kernels::info(type).elements == 1 ? 1 : 2 / std::sqrt(3.0);
    EXPECT_NEAR(std::sqrt(squares / n - mean * mean) / expected, spread, 0.02) << kernels::info(type).name;
    // Codes of Q4_0 are half a step below 0.
    EXPECT_NEAR(mean / expected, type == TensorType::kQ4_0 ? -0.125 : 0, 0.015) << kernels::info(type).name;
  }
}

TEST(ModelMaker, RowsAndTensorsDiffer) {
  std::set<std::string> seen;
  for (const char* name : {"blk.0.attn_q.weight", "blk.1.attn_q.weight"})
    for (const std::uint64_t row : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32}) {
      std::string bytes(4 * 64, '\0');
      fill_row({.seed = 1, .name = name, .type = TensorType::kF32, .columns = 64}, row,
               reinterpret_cast<std::byte*>(bytes.data()));
      seen.insert(bytes);
    }
  EXPECT_EQ(seen.size(), 6u);
}

TEST(ModelMaker, VocabulariesOfAnySizeHaveNoTokenTwice) {
  for (const std::uint32_t size : {kMinVocabulary, 1'000u, 128'256u, kMaxVocabulary}) {
    const Vocabulary vocabulary = make_vocabulary(size);
    EXPECT_EQ(vocabulary.tokens.size(), size);
    EXPECT_EQ(vocabulary.types.size(), size);
    EXPECT_EQ(std::set(vocabulary.tokens.begin(), vocabulary.tokens.end()).size(), size);
    EXPECT_EQ(vocabulary.tokens[vocabulary.begin], "<|begin_of_text|>");
    std::set<std::string> known(vocabulary.tokens.begin(), vocabulary.tokens.begin() + 256);
    for (std::size_t i = 0; i < vocabulary.merges.size(); ++i) {
      const std::string& merge = vocabulary.merges[i];
      const std::size_t space = merge.find(' ');
      const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
      ASSERT_TRUE(known.contains(left) && known.contains(right)) << merge;
      ASSERT_EQ(vocabulary.tokens[256 + i], left + right);
      known.insert(left + right);
    }
  }
}

TEST(ModelMaker, TextBecomesFewerTokensThanBytesAndTextAgain) {
  const test::TempDir dir;
  ModelShape shape = tiny();
  shape.vocab = 60'000;
  shape.hidden = 32;
  shape.ffn = 32;
  const auto engine = engine::Engine::load({.model = make(dir, shape, TensorType::kF32), .threads = 1});
  ASSERT_TRUE(engine.has_value()) << engine.error().message;
  const std::string text =
      "The memory of what was computed, na\xc3\xafve as it is \xf0\x9f\x93\x9a, is worth keeping.\n";
  const auto tokens = (*engine)->tokenizer().encode(text);
  ASSERT_TRUE(tokens.has_value());
  EXPECT_LT(tokens->size(), text.size() / 2);
  EXPECT_EQ((*engine)->tokenizer().decode(*tokens, text::SpecialText::kSkip), text);
}

TEST(ModelMaker, TheKnownShapesAreTheirModels) {
  // Weights of a layer and of the embedding, as docs/benchmarks.md counts them.
  const auto recipe = dense_llama(*complete(*known_shape("1b")), TensorType::kQ4_0);
  ASSERT_TRUE(recipe.has_value());
  std::uint64_t layers = 0, embedding = 0;
  for (const TensorSpec& tensor : recipe->tensors)
    if (tensor.dims.size() == 2)
      (tensor.name.starts_with("blk") ? layers : embedding) += tensor.dims[0] * tensor.rows();
  EXPECT_EQ(layers, 973'078'528u);
  EXPECT_EQ(embedding, 2u * 262'668'288u);
  EXPECT_EQ(complete(*known_shape("3b"))->head_dim, 128u);
  EXPECT_EQ(complete(*known_shape("8b"))->ffn, 14'336u);
  EXPECT_EQ(known_shape("2b"), nullptr);
}

TEST(ModelMaker, AShapeFromAFile) {
  const test::TempDir dir;
  const auto shape = read_shape(dir.write("small.json", R"({"hidden": 64, "layers": 3, "tied": 1})"));
  ASSERT_TRUE(shape.has_value()) << shape.error().message;
  EXPECT_EQ(std::tuple(shape->name, shape->hidden, shape->layers, shape->tied),
            std::tuple("small", 64u, 3u, 1u));
  EXPECT_EQ(shape->rope_base, 500'000u);
}

// Each refusal is one sentence with the file and the number in it.
TEST(ModelMaker, HostileShapes) {
  const test::TempDir dir;
  const std::pair<const char*, const char*> files[] = {
      {"[]", "one JSON object"},
      {"{\"hidden\": 1", "one JSON object"},
      {R"({"hiden": 64})", "no field 'hiden'; it knows hidden, layers"},
      {R"({"hidden": -64})", "hidden must be a whole number from 32 to 65536"},
      {R"({"hidden": 6.4})", "hidden must be a whole number"},
      {R"({"hidden": "64"})", "hidden must be a whole number"},
      {R"({"layers": 18446744073709551615})", "layers must be a whole number from 1 to 1024, not 1844"},
      {R"({"vocab": 4294967552})", "vocab must be a whole number from 272 to 490000"},
  };
  for (const auto& [text, sentence] : files) {
    const auto shape = read_shape(dir.write("shape.json", text));
    ASSERT_FALSE(shape.has_value()) << text;
    EXPECT_NE(shape.error().message.find(sentence), std::string::npos) << shape.error().message;
    EXPECT_NE(shape.error().message.find("shape.json"), std::string::npos);
  }
  EXPECT_FALSE(read_shape(dir.file("none.json")).has_value());

  const auto refused = [](void (*change)(ModelShape&), const char* sentence) {
    ModelShape shape = tiny();
    change(shape);
    auto whole = complete(shape);
    const auto recipe = whole ? dense_llama(*whole, TensorType::kQ4_K) : Result<Recipe>(pass(whole));
    ASSERT_FALSE(recipe.has_value()) << sentence;
    EXPECT_NE(recipe.error().message.find(sentence), std::string::npos) << recipe.error().message;
    EXPECT_NE(recipe.error().message.find("shape 'tiny'"), std::string::npos);
  };
  refused([](ModelShape& s) { s.layers = 0; }, "layers must be a whole number from 1 to 1024, not 0");
  refused([](ModelShape& s) { s.kv_heads = 3; }, "3 does not divide 4");
  refused([](ModelShape& s) { s.head_dim = 0, s.heads = 6, s.kv_heads = 0; }, "6 does not divide 256");
  refused([](ModelShape& s) { s.head_dim = 63; }, "head_dim must be even");
  refused([](ModelShape& s) { s.ffn = 300; },
          "blk.0.ffn_down.weight has rows of 300, and Q4_K takes multiples of 256");
  refused([](ModelShape& s) { s.hidden = 288; }, "token_embd.weight has rows of 288, and Q6_K");
}

TEST(ModelMaker, WhatCannotBeWrittenLeavesNothing) {
  const test::TempDir dir;
  const Recipe recipe = *dense_llama(*complete(tiny()), TensorType::kQ4_0);
  const std::string nowhere = dir.file("no/such/folder.gguf");
  const Status failed = write_model(recipe, {.path = nowhere});
  ASSERT_FALSE(failed.has_value());
  EXPECT_NE(failed.error().message.find(nowhere + ": cannot be written"), std::string::npos);

  std::filesystem::create_directories(dir.file("taken/inside"));
  const Status taken = write_model(recipe, {.path = dir.file("taken")});
  ASSERT_FALSE(taken.has_value());
  EXPECT_NE(taken.error().message.find("could not be renamed"), std::string::npos) << taken.error().message;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);

  ModelShape huge = tiny();
  huge.hidden = huge.ffn = 65'536;
  huge.layers = 1'024;
  huge.vocab = kMaxVocabulary;
  const Status no_room =
      write_model(*dense_llama(*complete(huge), TensorType::kF32), {.path = dir.file("huge")});
  ASSERT_FALSE(no_room.has_value());
  EXPECT_NE(no_room.error().message.find("MB are free there"), std::string::npos) << no_room.error().message;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(ModelMaker, TellsHowFarItIs) {
  const test::TempDir dir;
  std::size_t last = 0, all = 0;
  const Status written =
      write_model(*dense_llama(*complete(tiny()), TensorType::kQ4_0),
                  {.path = dir.file("m"), .progress = [&](std::size_t done, std::size_t total) {
                     EXPECT_GE(done, last);
                     last = done;
                     all = total;
                   }});
  ASSERT_TRUE(written.has_value());
  EXPECT_EQ(last, all);
  EXPECT_EQ(all, std::filesystem::file_size(dir.file("m")));
}

}  // namespace
}  // namespace folio::model_maker
