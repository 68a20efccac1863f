// GGUF metadata -> ModelConfig. Keys: the GGUF specification, `{arch}.` prefixed.
#include <algorithm>
#include <cmath>
#include <limits>

#include "model/architectures.h"
#include "model/model_config.h"

namespace folio::model {
namespace {

// Reads `{arch}.KEY`.
class Reader {
 public:
  Reader(const weights::GgufMetadata& metadata, std::string_view architecture)
      : metadata_(metadata), prefix_(architecture) {
    prefix_ += '.';
  }

  Result<std::uint32_t> u32(std::string_view key) const {
    return metadata_.get_u32(prefix_ + std::string(key));
  }
  Result<std::uint32_t> u32_or(std::string_view key, std::uint32_t fallback) const {
    FOLIO_TRY(value, metadata_.find_u32(prefix_ + std::string(key)));
    return value.value_or(fallback);
  }
  Result<double> f32_or(std::string_view key, double fallback) const {
    FOLIO_TRY(value, metadata_.find_f32(prefix_ + std::string(key)));
    return value ? static_cast<double>(*value) : fallback;
  }
  Result<std::string> string_or(std::string_view key, std::string fallback) const {
    FOLIO_TRY(value, metadata_.find_string(prefix_ + std::string(key)));
    return value ? std::string(*value) : fallback;
  }
  // A number that some files give per layer; folio runs models in which all layers agree.
  Result<std::uint32_t> same_for_all(std::string_view key, std::uint32_t layers) const {
    FOLIO_TRY(values, metadata_.get_u32_per_layer(prefix_ + std::string(key), layers));
    if (std::ranges::adjacent_find(values, std::not_equal_to{}) != values.end())
      return fail(ErrorKind::kUnsupported,
                  "{}: {}{} differs between layers; folio runs models in which it is the same",
                  metadata_.source(), prefix_, key);
    return values.front();
  }
  bool has(std::string_view key) const { return metadata_.contains(prefix_ + std::string(key)); }

 private:
  const weights::GgufMetadata& metadata_;
  std::string prefix_;
};

Result<RopeConfig> read_rope(const Reader& reader, const ModelConfig& config, const std::string& source) {
  RopeConfig rope;
  rope.layout = RopeLayout::kAdjacent;  // the converter permutes llama's queries and keys into adjacent pairs
  FOLIO_TRY(base, reader.f32_or("rope.freq_base", 10000));
  FOLIO_TRY(dims, reader.u32_or("rope.dimension_count", config.head_dim));
  FOLIO_TRY(legacy_factor, reader.f32_or("rope.scale_linear", 1));
  FOLIO_TRY(factor, reader.f32_or("rope.scaling.factor", legacy_factor));
  FOLIO_TRY(type, reader.string_or("rope.scaling.type", "linear"));
  FOLIO_TRY(original, reader.u32_or("rope.scaling.original_context_length", config.context));
  FOLIO_TRY(beta_fast, reader.f32_or("rope.scaling.yarn_beta_fast", 32));
  FOLIO_TRY(beta_slow, reader.f32_or("rope.scaling.yarn_beta_slow", 1));
  FOLIO_TRY(attention_factor, reader.f32_or("rope.scaling.attn_factor", 1));
  rope.base = base;
  rope.dims = dims;
  if (factor == 0) factor = 1;  // written by some converters for "no scaling"
  rope.factor = factor;
  rope.original_context = original;
  if (type == "none" || (type == "linear" && factor == 1)) {
    rope.factor = 1;
  } else if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    rope.beta_fast = beta_fast;
    rope.beta_slow = beta_slow;
    rope.attention_factor = attention_factor * (1 + 0.1 * std::log(std::max(factor, 1e-3)));
  } else {
    return fail(ErrorKind::kUnsupported,
                "{}: RoPE scaling type '{}' is not supported; supported are none, linear, yarn", source,
                type);
  }
  return rope;
}

// Keys of other architectures that a llama does not have.
Status check_other_arithmetic(const weights::GgufMetadata& metadata, const std::string& prefix,
                              const ModelConfig& c) {
  const ArithmeticField others[] = {{"attention.scale", 1 / std::sqrt(static_cast<double>(c.head_dim))},
                                    {"attention.clamp_kqv", 0},
                                    {"attention.max_alibi_bias", 0},
                                    {"attention.temperature_scale", 0},
                                    {"attention.causal", 1},
                                    {"attn_logit_softcapping", 0},
                                    {"final_logit_softcapping", 0},
                                    {"embedding_scale", 1},
                                    {"residual_scale", 1},
                                    {"logit_scale", 1},
                                    {"use_parallel_residual", 0}};
  const auto value_of = [&](std::string_view name) -> std::optional<double> {
    const std::string key = prefix + std::string(name);
    if (const auto number = metadata.find_f32(key); number && *number)
      return **number == 0 ? std::nullopt : std::optional<double>(**number);  // 0 is "not said" everywhere
    if (const auto flag = metadata.find_bool(key); flag && *flag) return **flag ? 1 : 0;
    return std::nullopt;
  };
  return check_arithmetic(others, value_of, metadata.source());
}

Result<std::uint32_t> vocabulary_size(const weights::GgufModel& model, const Reader& reader) {
  const std::string& source = model.metadata.source();
  if (const weights::Tensor* embedding = model.tensors.find("token_embd.weight")) {
    if (embedding->shape.size() == 2 && embedding->shape[0] <= kMaxVocab)
      return static_cast<std::uint32_t>(embedding->shape[0]);
    return fail(ErrorKind::kInvalid, "{}: tensor token_embd.weight is no matrix with at most {} rows", source,
                kMaxVocab);
  }
  return reader.u32("vocab_size");
}

}  // namespace

Result<ModelConfig> read_config(const weights::GgufModel& model) {
  const weights::GgufMetadata& metadata = model.metadata;
  const std::string& source = metadata.source();
  FOLIO_TRY(type, metadata.find_string("general.type"));
  if (type && *type != "model")
    return fail(ErrorKind::kUnsupported, "{}: this file is a '{}', not a model; give the model's own file",
                source, *type);
  FOLIO_TRY(architecture, metadata.get_string("general.architecture"));
  if (!is_supported_gguf(architecture)) return unsupported_architecture(source, architecture);

  const Reader reader(metadata, architecture);
  ModelConfig c;
  c.architecture = architecture;
  FOLIO_TRY(name, metadata.find_string("general.name"));
  c.name = name.value_or("");
  FOLIO_TRY(experts, reader.u32_or("expert_count", 0));
  if (experts != 0)
    return fail(ErrorKind::kUnsupported,
                "{}: mixture-of-experts models ({} experts) are not supported yet; use a dense model", source,
                experts);
  FOLIO_TRY(layers, reader.u32("block_count"));
  c.layers = layers;
  if (layers == 0 || layers > kMaxLayers)
    return fail(ErrorKind::kInvalid, "{}: {}.block_count is {}, not between 1 and {}", source, architecture,
                layers, kMaxLayers);
  FOLIO_TRY(hidden, reader.u32("embedding_length"));
  FOLIO_TRY(context, reader.u32("context_length"));
  FOLIO_TRY(heads, reader.same_for_all("attention.head_count", layers));
  c.hidden = hidden;
  c.context = c.max_context = context;
  c.heads = heads;
  c.kv_heads = heads;
  if (reader.has("attention.head_count_kv")) {
    FOLIO_TRY(kv_heads, reader.same_for_all("attention.head_count_kv", layers));
    c.kv_heads = kv_heads;
  }
  FOLIO_TRY(ffn, reader.same_for_all("feed_forward_length", layers));
  FOLIO_TRY(head_dim, reader.u32_or("attention.key_length", heads == 0 ? 0 : hidden / heads));
  FOLIO_TRY(value_dim, reader.u32_or("attention.value_length", head_dim));
  if (value_dim != head_dim)
    return fail(ErrorKind::kUnsupported,
                "{}: keys of {} and values of {} numbers per head; folio runs models in which they agree",
                source, head_dim, value_dim);
  FOLIO_TRY(epsilon, reader.f32_or("attention.layer_norm_rms_epsilon", 1e-5));
  FOLIO_TRY(window, reader.u32_or("attention.sliding_window", 0));
  FOLIO_TRY(vocab, vocabulary_size(model, reader));
  c.ffn = ffn;
  c.head_dim = head_dim;
  c.rms_epsilon = static_cast<float>(epsilon);
  c.window = window;
  c.vocab = vocab;
  FOLIO_TRY(rope, read_rope(reader, c, source));
  c.rope = rope;
  // Some files give the length before scaling, some the one after it.
  if (rope.scaling == RopeScaling::kLinear) c.max_context = scaled_context(c.context, rope.factor);
  if (rope.scaling == RopeScaling::kYarn)
    c.max_context = std::max(c.context, scaled_context(rope.original_context, rope.factor));
  FOLIO_TRY_STATUS(check_config(c, source));
  FOLIO_TRY_STATUS(check_other_arithmetic(metadata, c.architecture + ".", c));
  return c;
}

}  // namespace folio::model
