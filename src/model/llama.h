// The llama family: RMSNorm, rotary positions, grouped-query attention, SwiGLU. Llama 1-3, Mistral (with its
// window), TinyLlama, SmolLM and whatever else names itself so.
#pragma once

#include <memory>

#include "model/layers.h"
#include "model/model.h"

namespace folio::model {

class Llama final : public Model {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Model>> load(const weights::AnyModel& files,
                                                           const ModelConfig& config,
                                                           const ModelOptions& options,
                                                           platform::ThreadPool& pool);

  void forward(const Batch& batch, const kv::KvGeometry& geometry, std::span<std::byte> memory,
               Workspace& workspace, platform::ThreadPool& pool) const override;
  std::size_t step_weight_bytes() const override;

 private:
  struct Layer {
    RmsNorm attention_norm;
    Linear query, key, value, output;
    RmsNorm ffn_norm;
    Linear gate, up, down;
  };

  Llama(const ModelConfig& config, const kernels::KernelSet& kernels, Rope rope)
      : Model(config), kernels_(kernels), rope_(std::move(rope)) {}

  std::uint32_t attention_window() const {
    return config_.window == 0 ? kernels::kFullWindow : config_.window;
  }
  struct Names;
  Status load_weights(WeightLoader& loader, const Names& names);
  [[nodiscard]] Result<Layer> load_layer(WeightLoader& loader, const Names& names, std::size_t index) const;
  void attention(const Pass& pass, const Layer& layer, const Batch& batch,
                 const kernels::KvLayerView& view) const;
  void feed_forward(const Pass& pass, const Layer& layer) const;
  void norm_rows(const Pass& pass, std::span<const std::uint32_t> rows) const;
  void output(const Pass& pass, std::span<const std::uint32_t> rows) const;

  const kernels::KernelSet& kernels_;
  Rope rope_;
  WeightMemory memory_;
  kernels::PackedMatrix embedding_;
  std::vector<Layer> layers_;
  RmsNorm output_norm_;
  Linear output_;  // shares the embedding's matrix where the two are tied
};

}  // namespace folio::model
