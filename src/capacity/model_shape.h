// What of a model decides how much memory it takes: read from headers, before any weight is.
#pragma once

#include <cstddef>
#include <optional>

#include "kernels/linear/packed_matrix.h"
#include "kv/kv_geometry.h"
#include "model/model_config.h"
#include "weights/tensor_store.h"

namespace folio::capacity {

struct ModelShape {
  model::ModelConfig config;
  kv::KvGeometry geometry;
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kMixed;
  bool quantizes = false;                // weights become narrower while loading
  std::size_t weight_bytes = 0;          // matrices, packed
  std::size_t vector_bytes = 0;          // norms and biases, as floats
  std::size_t largest_tensor_bytes = 0;  // in the file
};

struct PackingWish {
  kernels::Arithmetic arithmetic = kernels::Arithmetic::kMixed;
  std::optional<kernels::TensorType> quantize;
};
[[nodiscard]] ModelShape shape_of(const weights::TensorStore& tensors, const model::ModelConfig& config,
                                  const kv::KvGeometry& geometry, const PackingWish& wish);

}  // namespace folio::capacity
