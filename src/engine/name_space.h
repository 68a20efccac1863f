// What a cached block's bits depend on besides the tokens: the namespace of the prefix index. Two engines
// whose namespaces differ in one byte share no block.
#pragma once

#include <optional>
#include <string>

#include "base/hash.h"
#include "engine/options.h"
#include "kernels/isa.h"
#include "kv/kv_geometry.h"
#include "model/model_config.h"
#include "weights/open.h"

namespace folio::engine {

// Raise it whenever a change of folio changes the bits of any K or V: kernels, packing, RoPE, norms.
inline constexpr int kNumericVersion = 2;

struct NameSpaceOf {
  Hash128 model;  // model_digest()
  const model::ModelConfig& config;
  const kv::KvGeometry& geometry;
  kernels::Isa isa;
  kernels::Arithmetic arithmetic;
  std::optional<kernels::TensorType> quantize;
  std::size_t context_tokens;  // the base of dynamic RoPE scaling
};

// A line of text that names all of it: digest, numeric version, shapes, norm and RoPE parameters, KV type and
// block length, instruction set, activation arithmetic, weights turned into another type.
std::string name_space(const NameSpaceOf& what);

// Tells models apart by names, types, shapes and samples of the contents of all tensors: kDigestSamples
// places of kDigestSampleBytes each, evenly over each tensor, and the whole of smaller ones. Fine-tuning
// moves every tensor everywhere; reading all of a large model again would double the time to load it.
inline constexpr std::size_t kDigestSamples = 16;
inline constexpr std::size_t kDigestSampleBytes = 1024;
Hash128 model_digest(const weights::AnyModel& files);

}  // namespace folio::engine
