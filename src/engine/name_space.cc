#include "engine/name_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

namespace folio::engine {
namespace {

Hash128 add(const Hash128& sum, std::span<const std::byte> bytes) {
  const std::uint64_t length = bytes.size();  // so that borders are part of it
  return hash128({std::as_bytes(std::span(&sum, 1)), std::as_bytes(std::span(&length, 1)), bytes});
}

Hash128 add_samples(Hash128 sum, std::span<const std::byte> data) {
  if (data.size() <= kDigestSamples * kDigestSampleBytes) return add(sum, data);
  const std::size_t room = data.size() - kDigestSampleBytes;
  for (std::size_t i = 0; i < kDigestSamples; ++i)
    sum = add(sum, data.subspan(room / (kDigestSamples - 1) * i, kDigestSampleBytes));
  return sum;
}

}  // namespace

Hash128 model_digest(const weights::AnyModel& files) {
  const weights::TensorStore& store =
      std::visit([](const auto& model) -> const weights::TensorStore& { return model.tensors; }, files);
  Hash128 sum;
  for (const weights::Tensor& tensor : store.all()) {
    sum = add(sum, std::as_bytes(std::span(tensor.name)));
    sum = add(sum, std::as_bytes(std::span(&tensor.type, 1)));
    sum = add(sum, std::as_bytes(std::span(tensor.shape)));
    sum = add_samples(sum, tensor.data);
    store.release(tensor);
  }
  return sum;
}

std::string name_space(const NameSpaceOf& w) {
  const model::ModelConfig& c = w.config;
  const model::RopeConfig& r = c.rope;
  const kv::KvShape& kv = w.geometry.shape();
  const std::string model = fmt::format("model {:016x}{:016x} {} numeric {}", w.model.high, w.model.low,
                                        c.architecture, kNumericVersion);
  const std::string shape =
      fmt::format("layers {} hidden {} heads {} kv {} dim {} ffn {} window {} epsilon {}", c.layers, c.hidden,
                  c.heads, c.kv_heads, c.head_dim, c.ffn, c.window, c.rms_epsilon);
  const std::string rope = fmt::format(
      "rope {} {} base {} dims {} factor {} original {} low {} high {} fast {} slow {} attention {} truncate "
      "{} "
      "context {}",
      static_cast<int>(r.layout), static_cast<int>(r.scaling), r.base, r.dims, r.factor, r.original_context,
      r.low_freq_factor, r.high_freq_factor, r.beta_fast, r.beta_slow, r.attention_factor, r.yarn_truncate,
      r.scaling == model::RopeScaling::kDynamic ? w.context_tokens : 0);
  const std::string cache = fmt::format("cache {} x {} x {}+{} {} block {}", kv.layers, kv.kv_heads,
                                        kv.key_dim, kv.value_dim, kernels::name(kv.type), kv.block_tokens);
  const std::string compute =
      fmt::format("isa {} activations {} weights {}", kernels::name(w.isa), static_cast<int>(w.arithmetic),
                  w.quantize ? kernels::info(*w.quantize).name : "as stored");
  return fmt::format("{}; {}; {}; {}; {}", model, shape, rope, cache, compute);
}

}  // namespace folio::engine
