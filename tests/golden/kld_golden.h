// What rounding activations costs a real model on a text: the paths with rounded activations against the one
// with float32 activations and the same weights.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "golden/golden_line.h"
#include "kernels/attention/kv_type.h"
#include "kernels/tensor_type.h"

namespace folio::golden {

struct KldOptions {
  std::filesystem::path model;
  std::filesystem::path text;
  std::size_t tokens = 512;                         // of the text's beginning, in sequences of kKldSequence
  std::optional<kernels::TensorType> weights;       // wider ones become this type while loading
  kernels::KvType kv_type = kernels::KvType::kF32;  // of the rounded paths; the exact one has f32
  // Where the exact logits go, for bench/peers to hold another engine against; empty: nowhere. A file of
  // little-endian 32-bit numbers: vocabulary, tokens, tokens of a sequence; the token ids; then for each
  // token the logits of what follows it, floats.
  std::filesystem::path exact;
};

// Tokens that are computed as one sequence; every position but the last of each is scored.
inline constexpr std::size_t kKldSequence = 256;

// One line for each way to round: mean and largest Kullback-Leibler divergence in nats over the positions,
// how often the most probable token is the same, and the perplexity of the text beside that with float32
// activations. The production path (mixed) fails above kMaxDivergence, int16 above kMaxInt16Divergence.
// With `weights` a last line shows what the type costs: float32 activations, the weights so turned
// against the weights as stored. Cost: some passes with float32 activations, about a second for every hundred
// tokens of a model of 135 million weights.
std::vector<GoldenLine> check_divergence(const KldOptions& options);

}  // namespace folio::golden
