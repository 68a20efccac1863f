// What a made model consists of: metadata, and its tensors in the order of the file.
//
// A kind of model is one function that returns a Recipe; write_model() knows of none of them. Experts are a
// third dimension of a tensor, layers of different kinds are other names in the list, and a draft model that
// agrees with its target names the target's tensors with the target's seed and widths (random_weights.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf_header.h"
#include "kernels/tensor_type.h"
#include "model_shape.h"

namespace folio::model_maker {

struct TensorSpec {
  std::string name;
  std::vector<std::uint64_t> dims;  // the contiguous one first: columns, rows, experts
  kernels::TensorType type = kernels::TensorType::kF32;
  std::optional<double> deviation;  // of random weights; unset: every weight is 1 (norms; F32 only)

  std::uint64_t rows() const;  // of dims[0] numbers
  std::uint64_t bytes() const;
};

struct Recipe {
  GgufHeader header;  // of exactly these tensors
  std::vector<TensorSpec> tensors;
};

// The names of weight types as --type takes them: "q4_0", "q8_0", "q4_k", "bf16", "f16", "f32".
[[nodiscard]] std::optional<kernels::TensorType> weight_type(std::string_view name);
[[nodiscard]] std::string weight_type_names();  // with commas between them

// A dense Llama with standard deviations of 1 / sqrt(columns), so that a row of ordinary size stays one. As
// in files that people download, the embedding and output matrices of a 4-bit model are wider (Q8_0, Q6_K).
// Requires: `shape` is complete(). Errors: columns that are no multiple of the type's block.
[[nodiscard]] Result<Recipe> dense_llama(const ModelShape& shape, kernels::TensorType type);

}  // namespace folio::model_maker
