#include "weights/tensor_digest.h"

#include <gtest/gtest.h>

#include "support/fixtures.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"
#include "weights/open.h"

namespace folio::weights {
namespace {

Tensor tensor_of(const std::vector<float>& values, std::vector<std::uint64_t> shape) {
  return {.name = "t",
          .type = kernels::TensorType::kF32,
          .shape = std::move(shape),
          .data = std::as_bytes(std::span(values))};
}

Hash128 digest_of(const Tensor& tensor) {
  TensorDigest digest(tensor);
  digest.hash_all();
  return digest.value();
}

TEST(TensorDigest, EveryByteTheShapeAndTheTypeCount) {
  std::vector<float> values(37 * 5);
  const Tensor tensor = tensor_of(values, {37, 5});
  EXPECT_EQ(TensorDigest(tensor).pieces(), 3u);
  const Hash128 same = digest_of(tensor);
  EXPECT_EQ(digest_of(tensor), same);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 1;
    EXPECT_NE(digest_of(tensor), same) << "number " << i;
    values[i] = 0;
  }
  EXPECT_NE(digest_of(tensor_of(values, {185, 1})), same);
  EXPECT_NE(digest_of(tensor_of(values, {185})), same);
  EXPECT_NE(digest_of(tensor_of(values, {1, 37, 5})), same);
  Tensor integers = tensor;
  integers.type = kernels::TensorType::kF16;
  integers.shape = {37, 5};
  EXPECT_NE(digest_of(integers), same);
}

TEST(TensorDigest, ThePiecesMayBeHashedInAnyOrder) {
  std::vector<float> values(100);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Tensor tensor = tensor_of(values, {50, 2});
  TensorDigest backwards(tensor);
  for (std::size_t i = backwards.pieces(); i-- > 0;) backwards.hash_piece(i);
  EXPECT_EQ(backwards.value(), digest_of(tensor));
}

TEST(TensorDigest, AnEmptyTensorHasOneToo) {
  const std::vector<float> nothing;
  EXPECT_EQ(digest_of(tensor_of(nothing, {0})), digest_of(tensor_of(nothing, {0})));
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Hash128 described(const std::string& path) {
  auto model = open_model(path);
  EXPECT_TRUE(model.has_value()) << (model ? "" : model.error().message);
  return model ? description_digest(*model) : Hash128{};
}

// Metadata that folio has no field for count as well: whoever edits a model may mean something by them.
TEST(DescriptionDigest, AnyMetadataValueOfAGgufFileCounts) {
  const test::TempDir dir;
  const auto gguf = [&](float epsilon, const char* note) {
    auto file = test::everything_gguf();
    file.add("llama.attention.layer_norm_rms_epsilon", epsilon).add("general.note", note);
    return described(dir.write("model.gguf", file.build()));
  };
  EXPECT_EQ(gguf(1e-5F, "a"), gguf(1e-5F, "a"));
  EXPECT_NE(gguf(1e-5F, "a"), gguf(1e-6F, "a"));
  EXPECT_NE(gguf(1e-5F, "a"), gguf(1e-5F, "b"));
}

TEST(DescriptionDigest, AnyValueOfConfigJsonCountsAndItsSpacesDoNot) {
  const test::TempDir dir;
  dir.write("model.safetensors", read(test::fixture("llama-gqa/model.safetensors")));
  const auto hf = [&](const char* config) {
    dir.write("config.json", config);
    return described(dir.path());
  };
  const Hash128 same = hf(R"({"rope_theta": 5e5, "other": {"x": [1, 2]}})");
  EXPECT_EQ(hf(R"({ "rope_theta":5e5,  "other":{"x":[1,2]} })"), same);
  EXPECT_NE(hf(R"({"rope_theta": 4e5, "other": {"x": [1, 2]}})"), same);
  EXPECT_NE(hf(R"({"rope_theta": 5e5, "other": {"x": [1, 3]}})"), same);
}

}  // namespace
}  // namespace folio::weights
