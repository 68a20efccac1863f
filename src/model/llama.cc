#include "model/llama.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "kv/kv_view.h"

namespace folio::model {

// Tensor names of the two file formats.
struct Llama::Names {
  std::string_view embedding, output_norm, output, layer;  // `layer` holds {} for its number
  std::string_view attention_norm, query, key, value, attention_output, ffn_norm, gate, up, down;

  std::string in_layer(std::size_t index, std::string_view part, std::string_view suffix) const {
    return fmt::format("{}{}.{}", fmt::format(fmt::runtime(layer), index), part, suffix);
  }
};

namespace {

template <typename NamesType>
constexpr NamesType gguf_names() {
  return {.embedding = "token_embd.weight",
          .output_norm = "output_norm.weight",
          .output = "output.weight",
          .layer = "blk.{}.",
          .attention_norm = "attn_norm",
          .query = "attn_q",
          .key = "attn_k",
          .value = "attn_v",
          .attention_output = "attn_output",
          .ffn_norm = "ffn_norm",
          .gate = "ffn_gate",
          .up = "ffn_up",
          .down = "ffn_down"};
}

template <typename NamesType>
constexpr NamesType hf_names() {
  return {.embedding = "model.embed_tokens.weight",
          .output_norm = "model.norm.weight",
          .output = "lm_head.weight",
          .layer = "model.layers.{}.",
          .attention_norm = "input_layernorm",
          .query = "self_attn.q_proj",
          .key = "self_attn.k_proj",
          .value = "self_attn.v_proj",
          .attention_output = "self_attn.o_proj",
          .ffn_norm = "post_attention_layernorm",
          .gate = "mlp.gate_proj",
          .up = "mlp.up_proj",
          .down = "mlp.down_proj"};
}

// Llama 3.1's frequency divisors, which GGUF carries as a tensor.
Result<std::vector<float>> rope_divisors(const weights::TensorStore& store, WeightLoader& loader,
                                         std::size_t pairs) {
  FOLIO_TRY(divisors, loader.optional_vector("rope_freqs.weight", pairs));
  for (float divisor : divisors)
    if (!(divisor > 0) || !std::isfinite(divisor))
      return fail(ErrorKind::kInvalid, "{}: tensor rope_freqs.weight holds {}, not a positive number",
                  store.source(), divisor);
  return divisors;
}

}  // namespace

Result<std::unique_ptr<Model>> Llama::load(const weights::AnyModel& files, const ModelConfig& config,
                                           const ModelOptions& options, platform::ThreadPool& pool) {
  const weights::TensorStore& store = weights::tensors_of(files);
  const bool gguf = std::holds_alternative<weights::GgufModel>(files);
  const Names names = gguf ? gguf_names<Names>() : hf_names<Names>();
  const auto load_with = [&](WeightLoader loader) -> Result<std::unique_ptr<Llama>> {
    FOLIO_TRY(divisors, rope_divisors(store, loader, config.rope.dims / 2));
    std::unique_ptr<Llama> model(
        new Llama(config, *options.kernels, Rope(config.rope, options.max_tokens, divisors)));
    FOLIO_TRY_STATUS(model->load_weights(loader, names));
    FOLIO_TRY(memory, loader.finish(config.architecture));
    model->memory_ = std::move(memory);
    return model;
  };
  FOLIO_TRY(checked, load_with(WeightLoader::checking(store, options.load)));
  FOLIO_TRY(loader, WeightLoader::create(store, pool, options.load));
  FOLIO_TRY(model, load_with(std::move(loader)));
  model->weight_bytes_ = model->memory_.used_bytes;
  model->weights_digest_ = model->memory_.digest;
  return model;
}

Status Llama::load_weights(WeightLoader& loader, const Names& names) {
  const ModelConfig& c = config_;
  FOLIO_TRY(embedding, loader.matrix(std::string(names.embedding), c.vocab, c.hidden));
  embedding_ = embedding;
  layers_.reserve(c.layers);
  for (std::size_t i = 0; i < c.layers; ++i) {
    FOLIO_TRY(layer, load_layer(loader, names, i));
    layers_.push_back(std::move(layer));
  }
  FOLIO_TRY(norm, loader.vector(std::string(names.output_norm), c.hidden));
  output_norm_ = {.weight = std::move(norm), .epsilon = c.rms_epsilon};
  output_.matrix = embedding_;
  if (const std::string output(names.output); loader.has(output)) {
    FOLIO_TRY(matrix, loader.matrix(output, c.vocab, c.hidden));
    output_.matrix = matrix;
  }
  return {};
}

Result<Llama::Layer> Llama::load_layer(WeightLoader& loader, const Names& names, std::size_t index) const {
  const ModelConfig& c = config_;
  const std::size_t q = std::size_t{c.heads} * c.head_dim, kv = std::size_t{c.kv_heads} * c.head_dim;
  Layer layer;
  const auto norm = [&](RmsNorm& to, std::string_view part) -> Status {
    FOLIO_TRY(weight, loader.vector(names.in_layer(index, part, "weight"), c.hidden));
    to = {.weight = std::move(weight), .epsilon = c.rms_epsilon};
    return {};
  };
  const auto linear = [&](Linear& to, std::string_view part, std::size_t outputs,
                          std::size_t inputs) -> Status {
    FOLIO_TRY(matrix, loader.matrix(names.in_layer(index, part, "weight"), outputs, inputs));
    FOLIO_TRY(bias, loader.optional_vector(names.in_layer(index, part, "bias"), outputs));
    to = {.matrix = matrix, .bias = std::move(bias)};
    return {};
  };
  FOLIO_TRY_STATUS(norm(layer.attention_norm, names.attention_norm));
  FOLIO_TRY_STATUS(linear(layer.query, names.query, q, c.hidden));
  FOLIO_TRY_STATUS(linear(layer.key, names.key, kv, c.hidden));
  FOLIO_TRY_STATUS(linear(layer.value, names.value, kv, c.hidden));
  FOLIO_TRY_STATUS(linear(layer.output, names.attention_output, c.hidden, q));
  FOLIO_TRY_STATUS(norm(layer.ffn_norm, names.ffn_norm));
  FOLIO_TRY_STATUS(linear(layer.gate, names.gate, c.ffn, c.hidden));
  FOLIO_TRY_STATUS(linear(layer.up, names.up, c.ffn, c.hidden));
  FOLIO_TRY_STATUS(linear(layer.down, names.down, c.hidden, c.ffn));
  return layer;
}

void Llama::forward(const Batch& batch, const kv::KvGeometry& geometry, std::span<std::byte> memory,
                    Workspace& workspace, platform::ThreadPool& pool) const {
  FOLIO_CHECK(batch.tokens.size() <= workspace.limits().rows, "more rows than the workspace holds");
  FOLIO_CHECK(batch.output_rows.size() <= workspace.limits().output_rows,
              "more outputs than the workspace holds");
  const Pass pass{.kernels = kernels_, .pool = pool, .workspace = workspace, .rows = batch.tokens.size()};
  workspace.attention.prepare(
      batch.sequences, {.heads = config_.heads, .kv_heads = config_.kv_heads, .window = attention_window()});
  embed(pass, embedding_, batch.tokens, workspace.hidden());
  compute_angles(pass, rope_, batch.positions);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (batch.abandon != nullptr && *batch.abandon) return;
    attention(pass, layers_[i], batch, kv::layer_view(geometry, memory, i));
    feed_forward(pass, layers_[i]);
  }
  norm_rows(pass, batch.hidden_rows);
  output(pass, batch.output_rows);
}

void Llama::attention(const Pass& pass, const Layer& layer, const Batch& batch,
                      const kernels::KvLayerView& view) const {
  Workspace& w = pass.workspace;
  const ModelConfig& c = config_;
  apply_normed_linear(pass, layer.attention_norm, w.hidden(),
                      {{layer.query, w.queries()}, {layer.key, w.keys()}, {layer.value, w.values()}});
  rotate_and_store(pass, {.rope = rope_,
                          .heads = c.heads,
                          .head_dim = c.head_dim,
                          .scale = 1.0F / std::sqrt(static_cast<float>(c.head_dim)),
                          .queries = w.queries(),
                          .keys = w.keys(),
                          .store = {.kv = view,
                                    .keys = w.keys(),
                                    .values = w.values(),
                                    .key_stride = layer.key.outputs(),
                                    .value_stride = layer.value.outputs(),
                                    .slots = batch.slots}});
  w.attention.run(kernels_.attention, pass.pool,
                  {.kv = view, .window = attention_window(), .queries = w.queries(), .out = w.attended()});
  apply_linear(pass, w.attended(), {{layer.output, w.hidden(), kernels::Epilogue::kAdd}});
}

void Llama::feed_forward(const Pass& pass, const Layer& layer) const {
  Workspace& w = pass.workspace;
  apply_normed_linear(pass, layer.ffn_norm, w.hidden(), {{layer.gate, w.gate()}, {layer.up, w.up()}});
  apply_gated_linear(pass, w.gate(), w.up(), {{layer.down, w.hidden(), kernels::Epilogue::kAdd}});
}

// In place: nothing reads the residual stream of these rows any more.
void Llama::norm_rows(const Pass& pass, std::span<const std::uint32_t> rows) const {
  if (rows.empty()) return;
  pass.pool.run(rows.size(), [&](std::size_t i, int) {
    float* row = pass.workspace.hidden() + std::size_t{rows[i]} * config_.hidden;
    output_norm_.apply(pass, row, row);
  });
}

// Only the rows that want logits go on: they move to the front of `normed`.
void Llama::output(const Pass& pass, std::span<const std::uint32_t> rows) const {
  if (rows.empty()) return;
  Workspace& w = pass.workspace;
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::memcpy(w.normed() + i * config_.hidden, w.hidden() + std::size_t{rows[i]} * config_.hidden,
                config_.hidden * sizeof(float));
  const Pass last{.kernels = pass.kernels, .pool = pass.pool, .workspace = w, .rows = rows.size()};
  apply_normed_linear(last, output_norm_, w.normed(), {{output_, w.logits()}});
}

std::size_t Llama::step_weight_bytes() const {
  const bool tied = output_.matrix.data == embedding_.data;
  return weight_bytes_ - (tied ? 0 : embedding_.shape.packed_bytes());
}

}  // namespace folio::model
