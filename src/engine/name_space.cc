#include "engine/name_space.h"

#include <fmt/format.h>

namespace folio::engine {
namespace {

std::string hex(const Hash128& hash) { return fmt::format("{:016x}{:016x}", hash.high, hash.low); }

}  // namespace

std::string name_space(const NameSpaceOf& w) {
  const kv::KvShape& kv = w.geometry.shape();
  const std::string model =
      fmt::format("model {} {} rope context {}", hex(w.description), hex(w.weights), w.rope_context);
  const std::string cache = fmt::format("cache {} x {} x {}+{} {} block {}", kv.layers, kv.kv_heads,
                                        kv.key_dim, kv.value_dim, kernels::name(kv.type), kv.block_tokens);
  const std::string compute =
      fmt::format("numeric {} isa {} activations {} weights {} functions {}", kNumericVersion,
                  kernels::name(w.isa), static_cast<int>(w.arithmetic),
                  w.quantize ? kernels::info(*w.quantize).name : "as stored", hex(w.functions));
  return fmt::format("{}; {}; {}", model, cache, compute);
}

}  // namespace folio::engine
