// The name that cached blocks go by: whatever their bits depend on changes it.
#include "engine/name_space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "engine/engine_parts.h"
#include "support/fixtures.h"
#include "support/temp_dir.h"

namespace folio::engine {
namespace {

using kernels::KvType;

TEST(NameSpace, EverythingThatBitsDependOnChangesIt) {
  const auto geometry_of = [](KvType type, std::uint32_t block_tokens) {
    return *kv::KvGeometry::create({.layers = 2,
                                    .kv_heads = 2,
                                    .key_dim = 8,
                                    .value_dim = 8,
                                    .type = type,
                                    .block_tokens = block_tokens});
  };
  const auto geometry = geometry_of(KvType::kF16, 16), wide = geometry_of(KvType::kBF16, 16),
             longer = geometry_of(KvType::kF16, 32);
  const auto with = [&](const kv::KvGeometry& g, auto change) {
    NameSpaceOf what{.description = {1, 2},
                     .weights = {3, 4},
                     .geometry = g,
                     .isa = kernels::Isa::kAvx2,
                     .arithmetic = kernels::Arithmetic::kInt16,
                     .quantize = {},
                     .functions = {5, 6}};
    change(what);
    return name_space(what);
  };
  const auto nothing = [](NameSpaceOf&) {};
  EXPECT_EQ(with(geometry, nothing), with(geometry, nothing));
  std::vector<std::string> all{
      with(geometry, nothing),
      with(wide, nothing),
      with(longer, nothing),
      with(geometry, [](NameSpaceOf& w) { w.description.low = 9; }),
      with(geometry, [](NameSpaceOf& w) { w.description.high = 9; }),
      with(geometry, [](NameSpaceOf& w) { w.weights.low = 9; }),
      with(geometry, [](NameSpaceOf& w) { w.functions.low = 9; }),
      with(geometry, [](NameSpaceOf& w) { w.rope_context = 100; }),
      with(geometry, [](NameSpaceOf& w) { w.isa = kernels::Isa::kAvx512; }),
      with(geometry, [](NameSpaceOf& w) { w.arithmetic = kernels::Arithmetic::kFloat; }),
      with(geometry, [](NameSpaceOf& w) { w.quantize = kernels::TensorType::kQ8_0; })};
  std::ranges::sort(all);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end()) << *std::ranges::adjacent_find(all);
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// What an engine of this model calls its blocks.
std::string space_of(const std::string& model, std::size_t context = 64) {
  const auto parts = load_parts({.model = model, .context_tokens = context, .threads = 2});
  EXPECT_TRUE(parts.has_value()) << (parts ? "" : parts.error().message);
  return parts ? parts->name_space : "";
}

class EditedModel : public testing::Test {
 protected:
  EditedModel() { reset(); }
  void reset() {
    dir_.write("config.json", config_);
    dir_.write("model.safetensors", weights_);
  }
  std::string with_config(const std::string& from, const std::string& to, std::size_t context = 64) {
    dir_.write("config.json", replaced(config_, from, to));
    const std::string space = space_of(dir_.path(), context);
    reset();
    return space;
  }
  // With the lowest bit of a byte, counted from the end of the last tensor, the other way.
  std::string with_bit(std::size_t from_end) {
    std::string edited = weights_;
    edited[edited.size() - from_end] = static_cast<char>(edited[edited.size() - from_end] ^ 1);
    dir_.write("model.safetensors", edited);
    const std::string space = space_of(dir_.path());
    reset();
    return space;
  }

  const std::string config_ = read(test::fixture("llama-gqa/config.json")),
                    weights_ = read(test::fixture("llama-gqa/model.safetensors"));
  test::TempDir dir_;
};

TEST_F(EditedModel, IsAnotherIfOneByteOfOneTensorIs) {
  const std::string same = space_of(dir_.path());
  EXPECT_EQ(space_of(dir_.path()), same);
  for (const std::size_t from_end : {2u, 500u, 20'000u, 100'000u})
    EXPECT_NE(with_bit(from_end), same) << from_end;
}

TEST_F(EditedModel, IsAnotherIfOneValueOfItsConfigurationIs) {
  const std::string same = space_of(dir_.path());
  EXPECT_NE(with_config("\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": 1e-06"), same);
  EXPECT_NE(with_config("\"rope_theta\": 500000.0", "\"rope_theta\": 400000.0"), same);
  EXPECT_NE(with_config("\"initializer_range\": 0.02", "\"initializer_range\": 0.03"), same) << "not read";
}

// Dynamic scaling alone makes keys depend on how long the context may become.
TEST_F(EditedModel, OfOtherContextIsAnotherWithDynamicRopeOnly) {
  const std::string plain = "\"rope_scaling\": null",
                    dynamic = R"("rope_scaling": {"rope_type": "dynamic", "factor": 2.0})";
  EXPECT_EQ(with_config(plain, plain, 64), with_config(plain, plain, 128));
  EXPECT_NE(with_config(plain, dynamic, 64), with_config(plain, dynamic, 128));
}

// Not its name, but what the scheduler is told of it: how far back a row looks.
TEST_F(EditedModel, WithAWindowCostsNoMoreFarIntoAPrompt) {
  const auto attended = [&] {
    const auto parts = load_parts({.model = dir_.path(), .threads = 1});
    EXPECT_TRUE(parts.has_value()) << (parts ? "" : parts.error().message);
    return parts ? parts->cost->shape_of(100, 101).attended : 0;
  };
  EXPECT_EQ(attended(), 101);
  dir_.write("config.json", replaced(replaced(config_, "LlamaForCausalLM", "MistralForCausalLM"),
                                     "\"rms_norm_eps\"", "\"sliding_window\": 24, \"rms_norm_eps\""));
  EXPECT_EQ(attended(), 24);
}

TEST_F(EditedModel, AGgufFileIsNamedAsWell) {
  const std::string file = read(test::fixture("quant-llama/model-Q4_1.gguf"));
  const std::string path = dir_.write("model.gguf", file), same = space_of(path);
  std::string edited = file;
  edited[edited.size() - 1000] = static_cast<char>(edited[edited.size() - 1000] ^ 1);
  dir_.write("model.gguf", edited);
  EXPECT_NE(space_of(path), same);
  dir_.write("model.gguf", file);
  EXPECT_EQ(space_of(path), same);
}

}  // namespace
}  // namespace folio::engine
