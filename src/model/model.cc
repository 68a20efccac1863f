#include "model/model.h"

#include "base/check.h"
#include "model/llama.h"

namespace folio::model {

kv::KvShape kv_shape(const ModelConfig& config, kernels::KvType type, std::uint32_t block_tokens) {
  return {.layers = config.layers,
          .kv_heads = config.kv_heads,
          .key_dim = config.head_dim,
          .value_dim = config.head_dim,
          .type = type,
          .block_tokens = block_tokens};
}

// One case per family as families are added; read_config() has refused what is not here.
Result<std::unique_ptr<Model>> load_model(const weights::AnyModel& files, const ModelConfig& config,
                                          const ModelOptions& options, platform::ThreadPool& pool) {
  FOLIO_CHECK(options.kernels != nullptr && options.max_tokens > 0,
              "load_model() needs kernels and a length");
  return Llama::load(files, config, options, pool);
}

}  // namespace folio::model
