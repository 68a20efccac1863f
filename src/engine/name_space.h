// What a cached block's bits depend on besides the tokens: the namespace of the prefix index. Two engines
// whose namespaces differ in one byte share no block.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/hash.h"
#include "kernels/isa.h"
#include "kernels/linear/packed_matrix.h"
#include "kernels/tensor_type.h"
#include "kv/kv_geometry.h"

namespace folio::engine {

// Raise it whenever a change of folio changes the bits of any K or V: kernels, packing, RoPE, norms, or what
// is read from a model's configuration.
inline constexpr int kNumericVersion = 3;

struct NameSpaceOf {
  Hash128 description;  // weights::description_digest(): everything that the model's files say
  Hash128 weights;      // Model::weights_digest(): every byte of its tensors
  const kv::KvGeometry& geometry;
  kernels::Isa isa;
  kernels::Arithmetic arithmetic;
  std::optional<kernels::TensorType> quantize;
  std::size_t rope_context = 0;  // the length that dynamic RoPE scaling takes its base from; else 0
  Hash128 functions;             // Rope::probe(): the machine's pow, cos and sin
};

// A line of text that names all of it, and the numeric version.
std::string name_space(const NameSpaceOf& what);

}  // namespace folio::engine
