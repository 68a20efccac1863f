#include "recipe.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "vocabulary.h"

namespace folio::model_maker {
namespace {

using kernels::TensorType;

struct WeightType {
  std::string_view name;
  TensorType type, embedding;
  std::uint32_t file_type;  // general.file_type
};
constexpr std::array kWeightTypes = {
    WeightType{"q4_0", TensorType::kQ4_0, TensorType::kQ8_0, 2},
    WeightType{"q8_0", TensorType::kQ8_0, TensorType::kQ8_0, 7},
    WeightType{"q4_k", TensorType::kQ4_K, TensorType::kQ6_K, 15},
    WeightType{"bf16", TensorType::kBF16, TensorType::kBF16, 32},
    WeightType{"f16", TensorType::kF16, TensorType::kF16, 1},
    WeightType{"f32", TensorType::kF32, TensorType::kF32, 0},
};

void describe(GgufHeader& header, const ModelShape& shape, const WeightType& type) {
  header.add("general.architecture", "llama");
  header.add("general.name", "random-" + shape.name);
  header.add("general.file_type", type.file_type);
  header.add("llama.context_length", shape.context);
  header.add("llama.embedding_length", shape.hidden);
  header.add("llama.block_count", shape.layers);
  header.add("llama.feed_forward_length", shape.ffn);
  header.add("llama.attention.head_count", shape.heads);
  header.add("llama.attention.head_count_kv", shape.kv_heads);
  header.add("llama.attention.key_length", shape.head_dim);
  header.add("llama.attention.value_length", shape.head_dim);
  header.add("llama.rope.dimension_count", shape.head_dim);
  header.add("llama.rope.freq_base", static_cast<float>(shape.rope_base));
  header.add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  header.add("llama.vocab_size", shape.vocab);
}

void describe_vocabulary(GgufHeader& header, std::uint32_t size) {
  const Vocabulary vocabulary = make_vocabulary(size);
  header.add("tokenizer.ggml.model", "gpt2");
  header.add("tokenizer.ggml.pre", "llama-bpe");
  header.add("tokenizer.ggml.tokens", vocabulary.tokens);
  header.add("tokenizer.ggml.token_type", vocabulary.types);
  header.add("tokenizer.ggml.merges", vocabulary.merges);
  header.add("tokenizer.ggml.bos_token_id", vocabulary.begin);
  header.add("tokenizer.ggml.eos_token_id", vocabulary.end);
}

// The list of tensors as it grows.
class TensorList {
 public:
  explicit TensorList(TensorType type) : type_(type) {}

  void norm(std::string name, std::uint64_t width) {
    tensors_.push_back({.name = std::move(name), .dims = {width}, .type = TensorType::kF32, .deviation = {}});
  }
  void matrix(std::string name, std::uint64_t rows, std::uint64_t columns) {
    matrix(std::move(name), rows, columns, type_);
  }
  void matrix(std::string name, std::uint64_t rows, std::uint64_t columns, TensorType type) {
    tensors_.push_back({.name = std::move(name),
                        .dims = {columns, rows},
                        .type = type,
                        .deviation = 1 / std::sqrt(static_cast<double>(columns))});
  }
  std::vector<TensorSpec> take() { return std::move(tensors_); }

 private:
  TensorType type_;
  std::vector<TensorSpec> tensors_;
};

void add_layer(TensorList& list, const ModelShape& shape, std::uint32_t layer) {
  const auto name = [layer](std::string_view part) { return fmt::format("blk.{}.{}.weight", layer, part); };
  const std::uint64_t hidden = shape.hidden, queries = std::uint64_t{shape.heads} * shape.head_dim,
                      keys = std::uint64_t{shape.kv_heads} * shape.head_dim;
  list.norm(name("attn_norm"), hidden);
  list.matrix(name("attn_q"), queries, hidden);
  list.matrix(name("attn_k"), keys, hidden);
  list.matrix(name("attn_v"), keys, hidden);
  list.matrix(name("attn_output"), hidden, queries);
  list.norm(name("ffn_norm"), hidden);
  list.matrix(name("ffn_gate"), shape.ffn, hidden);
  list.matrix(name("ffn_up"), shape.ffn, hidden);
  list.matrix(name("ffn_down"), hidden, shape.ffn);
}

Status check_blocks(const std::vector<TensorSpec>& tensors, const std::string& shape) {
  for (const TensorSpec& tensor : tensors) {
    const kernels::TensorTypeInfo& type = kernels::info(tensor.type);
    if (tensor.dims[0] % type.elements != 0)
      return fail(
          ErrorKind::kInvalid,
          "shape '{}': {} has rows of {}, and {} takes multiples of {}; choose other widths or another "
          "type",
          shape, tensor.name, tensor.dims[0], type.name, type.elements);
  }
  return {};
}

}  // namespace

std::uint64_t TensorSpec::rows() const {
  return std::accumulate(dims.begin() + 1, dims.end(), std::uint64_t{1}, std::multiplies{});
}

std::uint64_t TensorSpec::bytes() const { return rows() * kernels::row_bytes(type, dims[0]); }

std::optional<TensorType> weight_type(std::string_view name) {
  const auto found = std::ranges::find(kWeightTypes, name, &WeightType::name);
  return found == kWeightTypes.end() ? std::nullopt : std::optional(found->type);
}

std::string weight_type_names() {
  std::vector<std::string_view> names;
  for (const WeightType& type : kWeightTypes) names.push_back(type.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<Recipe> dense_llama(const ModelShape& shape, TensorType type) {
  const WeightType& weights = *std::ranges::find(kWeightTypes, type, &WeightType::type);
  TensorList list(type);
  list.matrix("token_embd.weight", shape.vocab, shape.hidden, weights.embedding);
  list.norm("output_norm.weight", shape.hidden);
  if (shape.tied == 0) list.matrix("output.weight", shape.vocab, shape.hidden, weights.embedding);
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) add_layer(list, shape, layer);
  Recipe recipe{.header = {}, .tensors = list.take()};
  FOLIO_TRY_STATUS(check_blocks(recipe.tensors, shape.name));
  describe(recipe.header, shape, weights);
  describe_vocabulary(recipe.header, shape.vocab);
  for (const TensorSpec& tensor : recipe.tensors)
    recipe.header.add_tensor(tensor.name, tensor.dims, tensor.type, tensor.bytes());
  return recipe;
}

}  // namespace folio::model_maker
