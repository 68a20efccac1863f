// Loading a llama: what its files may hold besides its tensors, and what they may not.
#include "model/llama.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "model/unread_tensors.h"
#include "support/fixtures.h"
#include "support/safetensors_builder.h"
#include "support/temp_dir.h"
#include "weights/safetensors.h"

namespace folio::model {
namespace {

using testing::HasSubstr;
using Extra = test::SafetensorsTestTensor;

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// fixtures/llama-gqa with tensors added.
class LlamaWith : public testing::Test {
 protected:
  // "loaded", or the error.
  std::string load(const std::vector<Extra>& extras) {
    auto tensors = plain_;
    tensors.insert(tensors.end(), extras.begin(), extras.end());
    dir_.write("model.safetensors", test::safetensors_file(tensors));
    dir_.write("config.json", read(test::fixture("llama-gqa/config.json")));
    auto files = weights::open_model(dir_.path());
    if (!files) return files.error().message;
    const auto config = read_config(std::get<weights::HfModel>(*files));
    if (!config) return config.error().message;
    progress_ = 0;
    const ModelOptions options{
        .kernels = &kernels::kernel_set(kernels::Isa::kReference),
        .load = {.progress = [this](std::size_t done, std::size_t) { progress_ = done; }},
        .max_tokens = 64};
    const auto model = load_model(*files, *config, options, pool_);
    return model ? "loaded" : model.error().message;
  }

  std::vector<Extra> plain_ = [] {
    const auto file = weights::SafetensorsFile::open(test::fixture("llama-gqa/model.safetensors"));
    std::vector<Extra> tensors;
    for (const weights::SafetensorsEntry& e : file->header.entries)
      tensors.push_back({.name = e.name,
                         .dtype = e.dtype,
                         .shape = e.shape,
                         .data = std::string(reinterpret_cast<const char*>(e.data.data()), e.data.size())});
    return tensors;
  }();
  platform::ThreadPool pool_{1};
  std::size_t progress_ = 0;
  test::TempDir dir_;
};

TEST_F(LlamaWith, NothingElseIsLoaded) { EXPECT_EQ(load({}), "loaded"); }

// Such a model normalises queries and keys: without that its answers are fluent and wrong.
TEST_F(LlamaWith, ATensorThatNothingReadsIsRefusedByNameBeforeAnythingIsRead) {
  const Extra norm{"model.layers.0.self_attn.q_norm.weight", "F32", {16}, std::string(64, 'a')};
  EXPECT_THAT(load({norm}),
              HasSubstr("tensor 'model.layers.0.self_attn.q_norm.weight' is no part of LlamaForCausalLM"));
  EXPECT_EQ(progress_, 0u);
  EXPECT_THAT(load({norm, {"model.layers.9.mlp.router", "I32", {2}, std::string(8, 'a')}}),
              HasSubstr("q_norm.weight' (and 1 more)"));
  EXPECT_THAT(load({{"model.layers.9.mlp.router", "I32", {2}, std::string(8, 'a')}}),
              HasSubstr("mlp.router'"));
}

TEST_F(LlamaWith, TablesTowersAndPredictorsMayStayUnread) {
  EXPECT_EQ(load({{"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {8}, std::string(32, 'a')},
                  {"model.vision_tower.blocks.0.weight", "F32", {2, 2}, std::string(16, 'a')},
                  {"mtp.layers.0.norm.weight", "F32", {2}, std::string(8, 'a')},
                  {"model.position_ids", "I64", {2}, std::string(16, 'a')}}),
            "loaded");
}

TEST(UnreadTensors, AreKnownByNameAndMasksByShapeToo) {
  const std::vector<std::uint64_t> row{64}, mask{1, 1, 64, 64};
  for (const char* name :
       {"model.layers.3.self_attn.rotary_emb.inv_freq", "blk.0.attn_rot_embd", "h.0.attn.masked_bias",
        "model.visual.patch_embed.proj.weight", "vision_tower.x", "v.blk.0.attn_q.weight", "mm.0.weight",
        "a.blk.0.ln1.weight", "mtp.fc.weight", "blk.32.nextn.eh_proj.weight", "model.image_newline"})
    EXPECT_TRUE(may_stay_unread(name, row)) << name;
  for (const char* name :
       {"model.layers.0.self_attn.q_norm.weight", "blk.0.attn_q_norm.weight", "blk.0.attn_sinks.weight",
        "blk.0.ffn_gate_inp.weight", "lm_head.bias", "output.bias", "rope_factors_long.weight",
        "blk.0.attn_q.scale", "model.values.weight", "value.weight", "h.0.attn.bias", "model.mm"})
    EXPECT_FALSE(may_stay_unread(name, row)) << name;
  EXPECT_TRUE(may_stay_unread("h.0.attn.bias", mask));
  EXPECT_TRUE(may_stay_unread("gpt_neox.layers.0.attention.bias", mask));
  EXPECT_FALSE(may_stay_unread("h.0.mlp.bias", mask));
}

}  // namespace
}  // namespace folio::model
