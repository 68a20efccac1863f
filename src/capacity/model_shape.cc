#include "capacity/model_shape.h"

#include "model/weight_loader.h"

namespace folio::capacity {

ModelShape shape_of(const weights::TensorStore& tensors, const model::ModelConfig& config,
                    const kv::KvGeometry& geometry, const PackingWish& wish) {
  const model::WeightLoader::Bytes bytes =
      model::WeightLoader::bytes(tensors, {.arithmetic = wish.arithmetic, .quantize = wish.quantize});
  return {.config = config,
          .geometry = geometry,
          .arithmetic = wish.arithmetic,
          .quantizes = wish.quantize.has_value(),
          .weight_bytes = bytes.packed,
          .vector_bytes = bytes.vectors,
          .largest_tensor_bytes = bytes.largest_tensor};
}

}  // namespace folio::capacity
