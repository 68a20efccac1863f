// Model: weights and layers of one architecture. Knows batches of tokens and cache blocks; knows no request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/hash.h"
#include "base/result.h"
#include "kernels/attention/kv_type.h"
#include "kernels/kernel_set.h"
#include "kv/kv_geometry.h"
#include "model/batch.h"
#include "model/model_config.h"
#include "model/weight_loader.h"
#include "model/workspace.h"
#include "weights/open.h"

namespace folio::model {

// Immutable after load; forward() may be called from one thread per workspace.
class Model {
 public:
  virtual ~Model() = default;

  // One step: appends each row's K and V to its slot, then attends over the blocks. logits of
  // batch.output_rows[i] are at workspace.logits() + i * vocab, the hidden state of row r among
  // batch.hidden_rows, after the final norm, at workspace.hidden() + r * hidden. `memory` are the blocks,
  // laid out as `geometry` says. Requires: rows and output rows within the workspace's limits; tokens within
  // the vocabulary.
  virtual void forward(const Batch& batch, const kv::KvGeometry& geometry, std::span<std::byte> memory,
                       Workspace& workspace, platform::ThreadPool& pool) const = 0;

  const ModelConfig& config() const { return config_; }
  // Bytes of weights in memory, and of those that one decode step reads (an untied embedding is looked up,
  // not read).
  std::size_t weight_bytes() const { return weight_bytes_; }
  virtual std::size_t step_weight_bytes() const = 0;
  // A name for the names and contents of all tensors that the model was made from.
  const Hash128& weights_digest() const { return weights_digest_; }
  // Tokens that a row's attention looks at, at most, itself included; nullopt: all before it.
  std::optional<std::size_t> window() const {
    return config_.window == 0 ? std::nullopt : std::optional<std::size_t>(config_.window);
  }

 protected:
  explicit Model(ModelConfig config) : config_(std::move(config)) {}

  ModelConfig config_;
  std::size_t weight_bytes_ = 0;
  Hash128 weights_digest_;
};

struct ModelOptions {
  const kernels::KernelSet* kernels = nullptr;
  LoadOptions load;
  std::uint32_t max_tokens = 0;  // longest sequence: fixes dynamic RoPE scaling
};

// What the blocks of this model hold per token.
kv::KvShape kv_shape(const ModelConfig& config, kernels::KvType type, std::uint32_t block_tokens);

// Packs the weights of an opened file. The file may be closed afterwards. `pool` is used during the call
// only.
[[nodiscard]] Result<std::unique_ptr<Model>> load_model(const weights::AnyModel& files,
                                                        const ModelConfig& config,
                                                        const ModelOptions& options,
                                                        platform::ThreadPool& pool);

}  // namespace folio::model
