#include "model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/gguf_builder.h"
#include "support/temp_dir.h"
#include "weights/open.h"

namespace folio::model {
namespace {

using testing::HasSubstr;

weights::HfModel hf(const std::string& json) {
  weights::HfModel model;
  model.directory = "/models/tiny";
  model.config = nlohmann::ordered_json::parse(json);
  return model;
}

// A small valid config.json with `extra` fields after it (a repeated key wins).
std::string config_json(const std::string& extra = "") {
  return R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4,
    "num_hidden_layers": 2, "num_key_value_heads": 2, "vocab_size": 256, "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6, "rope_theta": 5000.0)" +
         extra + "}";
}

std::string error_of(const std::string& json) {
  const auto config = read_config(hf(json));
  return config ? "accepted" : config.error().message;
}

TEST(ConfigHf, ReadsBothSpellingsAlike) {
  const auto v4 = read_config(hf(config_json(R"(, "rope_scaling": {"rope_type": "yarn", "factor": 4.0,
      "original_max_position_embeddings": 32})")));
  const auto v5 = read_config(
      hf(config_json(R"(, "rope_theta": null, "rope_parameters": {"rope_type": "yarn", "factor": 4.0,
      "rope_theta": 5000.0, "original_max_position_embeddings": 32})")));
  ASSERT_TRUE(v4 && v5);
  for (const auto& c : {*v4, *v5}) {
    EXPECT_EQ(c.head_dim, 16u);
    EXPECT_EQ(c.kv_heads, 2u);
    EXPECT_EQ(c.rope.scaling, RopeScaling::kYarn);
    EXPECT_EQ(c.rope.base, 5000.0);
    EXPECT_EQ(c.rope.factor, 4.0);
    EXPECT_EQ(c.rope.original_context, 32u);
    EXPECT_EQ(c.rope.layout, RopeLayout::kHalves);
  }
}

TEST(ConfigHf, DynamicScalingAllowsLongerContexts) {
  const auto c = read_config(hf(config_json(R"(, "rope_scaling": {"type": "dynamic", "factor": 4.0})")));
  ASSERT_TRUE(c);
  EXPECT_EQ(c->context, 128u);
  EXPECT_EQ(c->max_context, 512u);
}

TEST(ConfigHf, AScalingReachesAsFarAsItWasMadeFor) {
  struct Case {
    const char* scaling;
    std::uint32_t context;
    double factor;
  };
  for (const Case& one : {
           Case{R"({"type": "linear", "factor": 4.0})", 512, 4},
           {R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128})", 512, 4},
           {R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32})", 128, 4},
           {R"({"rope_type": "yarn", "factor": null, "original_max_position_embeddings": 32})", 128, 4},
           {R"({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64})", 128, 8},
           {R"({"type": "linear", "factor": 1e6})", kMaxContext, 1e6},
       }) {
    const auto c = read_config(hf(config_json(fmt::format(R"(, "rope_scaling": {})", one.scaling))));
    ASSERT_TRUE(c) << one.scaling << c.error().message;
    EXPECT_EQ(c->context, one.context) << one.scaling;
    EXPECT_EQ(c->max_context, one.context) << one.scaling;
    EXPECT_EQ(c->rope.factor, one.factor) << one.scaling;
  }
}

TEST(ConfigHf, NamesWhatIsWrong) {
  EXPECT_THAT(error_of(R"({"architectures": ["BertModel"]})"), HasSubstr("'BertModel' is not supported"));
  EXPECT_THAT(error_of("{}"), HasSubstr("'architectures'"));
  EXPECT_THAT(error_of(R"({"architectures": ["LlamaForCausalLM"]})"),
              HasSubstr("'num_hidden_layers' is missing"));
  EXPECT_THAT(error_of(config_json(R"(, "hidden_size": "big")")),
              HasSubstr("'hidden_size' is not a whole number"));
  EXPECT_THAT(error_of(config_json(R"(, "hidden_size": 99999999)")), HasSubstr("hidden size is 99999999"));
  EXPECT_THAT(error_of(config_json(R"(, "num_attention_heads": 0)")), HasSubstr("attention heads is 0"));
  EXPECT_THAT(error_of(config_json(R"(, "num_key_value_heads": 3)")), HasSubstr("no multiple of 3 KV heads"));
  EXPECT_THAT(error_of(config_json(R"(, "hidden_act": "gelu")")), HasSubstr("hidden_act 'gelu'"));
  EXPECT_THAT(error_of(config_json(R"(, "quantization_config": {})")), HasSubstr("quantization_config"));
  EXPECT_THAT(error_of(config_json(R"(, "rope_scaling": {"type": "longrope"})")),
              HasSubstr("'longrope' is not supported"));
  EXPECT_THAT(error_of(config_json(R"(, "rope_scaling": 3)")), HasSubstr("'rope_scaling' is not an object"));
  EXPECT_THAT(error_of(config_json(R"(, "rope_theta": -1)")), HasSubstr("RoPE base is -1"));
  EXPECT_THAT(error_of(config_json(
                  R"(, "rope_scaling": {"type": "llama3", "low_freq_factor": 4, "high_freq_factor": 1})")),
              HasSubstr("low_freq_factor"));
  EXPECT_THAT(error_of(config_json(R"(, "partial_rotary_factor": 0)")), HasSubstr("partial_rotary_factor"));
}

test::GgufBuilder gguf() {
  test::GgufBuilder builder;
  builder.add("general.architecture", "llama").add("llama.embedding_length", std::uint32_t{64});
  builder.add("llama.block_count", std::uint32_t{2}).add("llama.context_length", std::uint32_t{128});
  builder.add("llama.attention.head_count", std::uint32_t{4})
      .add("llama.feed_forward_length", std::uint32_t{160});
  return builder;
}

Result<ModelConfig> read(const test::GgufBuilder& builder) {
  const test::TempDir folder;
  auto model = weights::GgufModel::open(folder.write("model.gguf", builder.build()));
  if (!model) return pass(model);
  return read_config(*model);
}

TEST(ConfigGguf, ReadsTheKeysAndTheirDefaults) {
  const auto c = read(gguf().add("llama.vocab_size", std::uint32_t{300}));
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_EQ(c->kv_heads, 4u);
  EXPECT_EQ(c->head_dim, 16u);
  EXPECT_EQ(c->vocab, 300u);
  EXPECT_EQ(c->rope.base, 10000.0);
  EXPECT_EQ(c->rope.layout, RopeLayout::kAdjacent);
  EXPECT_EQ(c->rope.scaling, RopeScaling::kNone);
}

TEST(ConfigGguf, ScalingIsLinearUnlessSaid) {
  const auto linear =
      read(gguf().add("llama.vocab_size", std::uint32_t{300}).add("llama.rope.scaling.factor", 4.0F));
  ASSERT_TRUE(linear);
  EXPECT_EQ(linear->rope.scaling, RopeScaling::kLinear);
  EXPECT_EQ(linear->context, 128u);
  EXPECT_EQ(linear->max_context, 512u) << "asked for, it is there";
  const auto yarn = read(gguf()
                             .add("llama.vocab_size", std::uint32_t{300})
                             .add("llama.rope.scaling.type", "yarn")
                             .add("llama.rope.scaling.factor", 8.0F)
                             .add("llama.rope.scaling.original_context_length", std::uint32_t{32}));
  ASSERT_TRUE(yarn);
  EXPECT_EQ(yarn->max_context, 256u);
  const auto none =
      read(gguf().add("llama.vocab_size", std::uint32_t{300}).add("llama.rope.scaling.type", "none"));
  ASSERT_TRUE(none);
  EXPECT_EQ(none->rope.scaling, RopeScaling::kNone);
}

TEST(ConfigGguf, NamesWhatIsWrong) {
  const auto message = [](const test::GgufBuilder& builder) {
    const auto config = read(builder);
    return config ? std::string("accepted") : config.error().message;
  };
  EXPECT_THAT(message(gguf()), HasSubstr("llama.vocab_size"));
  EXPECT_THAT(message(test::GgufBuilder().add("general.architecture", "mamba")),
              HasSubstr("'mamba' is not supported"));
  EXPECT_THAT(
      message(gguf().add("llama.vocab_size", std::uint32_t{9}).add("llama.expert_count", std::uint32_t{8})),
      HasSubstr("8 experts"));
  EXPECT_THAT(
      message(gguf().add("llama.vocab_size", std::uint32_t{9}).add("llama.rope.scaling.type", "longrope")),
      HasSubstr("'longrope' is not supported"));
  EXPECT_THAT(message(gguf()
                          .add("llama.vocab_size", std::uint32_t{9})
                          .add("llama.rope.dimension_count", std::uint32_t{17})),
              HasSubstr("RoPE rotates 17"));
  EXPECT_THAT(message(gguf().add("general.type", "adapter")), HasSubstr("'adapter'"));
}

// A llama in name that scales, caps or routes: without that its answers are fluent and wrong.
TEST(ConfigGguf, RefusesArithmeticOfOtherArchitectures) {
  const auto message = [](const auto& key, const auto& value) {
    const auto config = read(gguf().add("llama.vocab_size", std::uint32_t{9}).add(key, value));
    return config ? std::string("accepted") : config.error().message;
  };
  EXPECT_THAT(message("llama.attention.scale", 0.5F), HasSubstr("'attention.scale' is 0.5"));
  EXPECT_EQ(message("llama.attention.scale", 0.25F), "accepted");  // 1 / sqrt(16)
  EXPECT_EQ(message("llama.attention.scale", 0.0F), "accepted");
  EXPECT_THAT(message("llama.attention.causal", false), HasSubstr("attention.causal"));
  EXPECT_EQ(message("llama.attention.causal", true), "accepted");
  EXPECT_THAT(message("llama.final_logit_softcapping", 30.0F), HasSubstr("final_logit_softcapping"));
  EXPECT_THAT(message("llama.logit_scale", 8.0F), HasSubstr("use a model without it"));
  EXPECT_EQ(message("llama.some_note", 8.0F), "accepted");
}

TEST(ConfigHf, RefusesArithmeticOfOtherArchitectures) {
  EXPECT_THAT(error_of(config_json(R"(, "logits_scaling": 8.0)")),
              HasSubstr("config.json: 'logits_scaling' is 8"));
  EXPECT_EQ(error_of(config_json(R"(, "logits_scaling": 1.0, "attention_multiplier": 0.25)")), "accepted");
  EXPECT_THAT(error_of(config_json(R"(, "attention_multiplier": 0.0078125)")),
              HasSubstr("attention_multiplier"));
  EXPECT_THAT(error_of(config_json(R"(, "use_qk_norm": true)")), HasSubstr("use_qk_norm"));
  EXPECT_THAT(error_of(config_json(R"(, "num_local_experts": 8)")), HasSubstr("num_local_experts"));
  EXPECT_EQ(error_of(config_json(R"(, "use_qk_norm": false, "num_local_experts": 0, "clip_qkv": null,
      "pretraining_tp": 2, "note": 7)")),
            "accepted");
}

}  // namespace
}  // namespace folio::model
