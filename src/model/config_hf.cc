// Hugging Face config.json -> ModelConfig, in the spelling of transformers 4 (rope_theta, rope_scaling) and
// of transformers 5 (rope_parameters).
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "model/architectures.h"
#include "model/model_config.h"

namespace folio::model {
namespace {

using Json = nlohmann::ordered_json;

// Typed access to one JSON object; null counts as absent.
class Fields {
 public:
  Fields(const Json& object, std::string source) : object_(object), source_(std::move(source)) {}

  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }

  Result<std::uint32_t> u32(const char* key) const {
    if (!has(key)) return fail(ErrorKind::kInvalid, "{}: field '{}' is missing", source_, key);
    const Json& value = object_[key];
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > UINT32_MAX)
      return fail(ErrorKind::kInvalid, "{}: field '{}' is not a whole number of 32 bits", source_, key);
    return value.get<std::uint32_t>();
  }
  Result<std::uint32_t> u32_or(const char* key, std::uint32_t fallback) const {
    if (!has(key)) return fallback;
    return u32(key);
  }
  Result<double> number_or(const char* key, double fallback) const {
    if (!has(key)) return fallback;
    if (!object_[key].is_number())
      return fail(ErrorKind::kInvalid, "{}: field '{}' is not a number", source_, key);
    return object_[key].get<double>();
  }
  Result<std::string> string_or(const char* key, std::string fallback) const {
    if (!has(key)) return fallback;
    if (!object_[key].is_string())
      return fail(ErrorKind::kInvalid, "{}: field '{}' is not a text", source_, key);
    return object_[key].get<std::string>();
  }
  Result<bool> bool_or(const char* key, bool fallback) const {
    if (!has(key)) return fallback;
    if (!object_[key].is_boolean())
      return fail(ErrorKind::kInvalid, "{}: field '{}' is not true or false", source_, key);
    return object_[key].get<bool>();
  }
  const std::string& source() const { return source_; }
  const Json& operator[](const char* key) const { return object_[key]; }

 private:
  const Json& object_;
  std::string source_;
};

Status read_yarn(const Fields& scaling, RopeConfig& rope) {
  FOLIO_TRY(beta_fast, scaling.number_or("beta_fast", 32));
  FOLIO_TRY(beta_slow, scaling.number_or("beta_slow", 1));
  FOLIO_TRY(factor_given, scaling.number_or("attention_factor", 0));
  FOLIO_TRY(mscale, scaling.number_or("mscale", 0));
  FOLIO_TRY(mscale_all, scaling.number_or("mscale_all_dim", 0));
  FOLIO_TRY(truncate, scaling.bool_or("truncate", true));
  rope.beta_fast = beta_fast;
  rope.beta_slow = beta_slow;
  rope.yarn_truncate = truncate;
  rope.attention_factor = factor_given;
  if (factor_given == 0 && mscale != 0 && mscale_all != 0) {
    const double log_factor = rope.factor > 1 ? std::log(rope.factor) : 0;
    rope.attention_factor = (0.1 * mscale * log_factor + 1) / (0.1 * mscale_all * log_factor + 1);
  }
  return {};
}

Status read_scaling(const Fields& scaling, ModelConfig& c) {
  RopeConfig& rope = c.rope;
  FOLIO_TRY(old_type, scaling.string_or("type", "default"));
  FOLIO_TRY(type, scaling.string_or("rope_type", old_type));
  if (type == "default") return {};
  FOLIO_TRY(original, scaling.u32_or("original_max_position_embeddings", c.context));
  // YaRN without a factor reaches from the one length to the other.
  const double ratio = type == "yarn" && original != 0 ? static_cast<double>(c.context) / original : 1;
  FOLIO_TRY(factor, scaling.number_or("factor", ratio));
  rope.factor = factor;
  rope.original_context = original;
  if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
    c.context = c.max_context = scaled_context(c.context, factor);
  } else if (type == "dynamic") {
    rope.scaling = RopeScaling::kDynamic;
    rope.original_context = c.context;  // the base grows beyond this length
    c.max_context = scaled_context(c.context, factor);
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    FOLIO_TRY(low, scaling.number_or("low_freq_factor", 1));
    FOLIO_TRY(high, scaling.number_or("high_freq_factor", 4));
    rope.low_freq_factor = low;
    rope.high_freq_factor = high;
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    FOLIO_TRY_STATUS(read_yarn(scaling, rope));
    c.context = c.max_context = std::max(c.context, scaled_context(original, factor));
  } else {
    return fail(
        ErrorKind::kUnsupported,
        "{}: RoPE scaling type '{}' is not supported; supported are default, linear, dynamic, llama3, yarn",
        scaling.source(), type);
  }
  return {};
}

Status read_rope(const Fields& fields, ModelConfig& c) {
  c.rope.layout = RopeLayout::kHalves;
  FOLIO_TRY(theta, fields.number_or("rope_theta", 10000));
  c.rope.base = theta;
  double rotated_share = 1;
  FOLIO_TRY(outer_share, fields.number_or("partial_rotary_factor", 1));
  rotated_share = outer_share;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!fields.has(key)) continue;
    if (!fields[key].is_object())
      return fail(ErrorKind::kInvalid, "{}: field '{}' is not an object", fields.source(), key);
    const Fields scaling(fields[key], fields.source() + ": " + key);
    FOLIO_TRY(inner_theta, scaling.number_or("rope_theta", theta));
    FOLIO_TRY(inner_share, scaling.number_or("partial_rotary_factor", rotated_share));
    c.rope.base = inner_theta;
    rotated_share = inner_share;
    FOLIO_TRY_STATUS(read_scaling(scaling, c));
  }
  if (!(rotated_share > 0 && rotated_share <= 1))
    return fail(ErrorKind::kInvalid, "{}: partial_rotary_factor is {}, not in (0, 1]", fields.source(),
                rotated_share);
  c.rope.dims = static_cast<std::uint32_t>(c.head_dim * rotated_share);
  return {};
}

// Granite, Gemma, Cohere, MiniCPM, OLMo, Falcon and mixtures of experts say so; a llama has none of it.
Status check_other_arithmetic(const Fields& fields, const ModelConfig& c) {
  const auto head_dim = static_cast<double>(c.head_dim);
  const ArithmeticField others[] = {{"attention_multiplier", 1 / std::sqrt(head_dim)},
                                    {"query_pre_attn_scalar", head_dim},
                                    {"embedding_multiplier", 1},
                                    {"residual_multiplier", 1},
                                    {"logits_scaling", 1},
                                    {"logit_scale", 1},
                                    {"scale_emb", 1},
                                    {"attn_logit_softcapping", 0},
                                    {"final_logit_softcapping", 0},
                                    {"clip_qkv", 0},
                                    {"use_qk_norm", 0},
                                    {"qk_norm", 0},
                                    {"use_parallel_residual", 0},
                                    {"parallel_attn", 0},
                                    {"alibi", 0},
                                    {"num_experts", 0},
                                    {"num_local_experts", 0},
                                    {"n_routed_experts", 0}};
  const auto value_of = [&](std::string_view name) -> std::optional<double> {
    const std::string key(name);
    if (!fields.has(key.c_str())) return std::nullopt;
    const Json& value = fields[key.c_str()];
    if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
    return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
  };
  return check_arithmetic(others, value_of, fields.source());
}

Result<std::string> architecture_of(const Fields& fields) {
  if (fields.has("architectures") && fields["architectures"].is_array() &&
      fields["architectures"].size() == 1 && fields["architectures"][0].is_string())
    return fields["architectures"][0].get<std::string>();
  return fail(ErrorKind::kInvalid, "{}: field 'architectures' does not name one architecture",
              fields.source());
}

}  // namespace

Result<ModelConfig> read_config(const weights::HfModel& model) {
  const Fields fields(model.config, model.directory + "/config.json");
  FOLIO_TRY(architecture, architecture_of(fields));
  if (!is_supported_hf(architecture)) return unsupported_architecture(fields.source(), architecture);
  FOLIO_TRY(activation, fields.string_or("hidden_act", "silu"));
  if (activation != "silu")
    return fail(ErrorKind::kUnsupported, "{}: hidden_act '{}' is not supported; supported is silu",
                fields.source(), activation);
  if (fields.has("quantization_config"))
    return fail(
        ErrorKind::kUnsupported,
        "{}: quantised safetensors (quantization_config) are not supported; use the unquantised model with "
        "--weights q8_0 or q4_0, or a GGUF file",
        fields.source());

  ModelConfig c;
  c.architecture = architecture;
  c.name = std::filesystem::path(model.directory).lexically_normal().filename().string();
  FOLIO_TRY(layers, fields.u32("num_hidden_layers"));
  FOLIO_TRY(hidden, fields.u32("hidden_size"));
  FOLIO_TRY(heads, fields.u32("num_attention_heads"));
  FOLIO_TRY(kv_heads, fields.u32_or("num_key_value_heads", heads));
  FOLIO_TRY(head_dim, fields.u32_or("head_dim", heads == 0 ? 0 : hidden / heads));
  FOLIO_TRY(ffn, fields.u32("intermediate_size"));
  FOLIO_TRY(vocab, fields.u32("vocab_size"));
  FOLIO_TRY(context, fields.u32("max_position_embeddings"));
  FOLIO_TRY(epsilon, fields.number_or("rms_norm_eps", 1e-6));
  FOLIO_TRY(window, fields.u32_or("sliding_window", 0));
  c.layers = layers;
  c.hidden = hidden;
  c.heads = heads;
  c.kv_heads = kv_heads;
  c.head_dim = head_dim;
  c.ffn = ffn;
  c.vocab = vocab;
  c.context = c.max_context = context;
  c.rms_epsilon = static_cast<float>(epsilon);
  c.window = architecture == "MistralForCausalLM" ? window : 0;
  FOLIO_TRY_STATUS(read_rope(fields, c));
  FOLIO_TRY_STATUS(check_config(c, fields.source()));
  FOLIO_TRY_STATUS(check_other_arithmetic(fields, c));
  return c;
}

}  // namespace folio::model
