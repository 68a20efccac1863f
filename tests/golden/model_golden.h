// Checks models against folders of reference results:
//   one model     prompt.json, logits.safetensors (p0, p1, ...), greedy.json, and model.safetensors with
//   config.json
//                 (and config_v5.json) and/or model.gguf: each of them is a line
//   many types    prompt.json, greedy.json, model-TYPE.gguf and logits-TYPE.safetensors: each type is a line
//
// A line compares, on every prompt: the path with float32 activations with the reference, within a tolerance
// derived from shapes (tolerance.h), greedy tokens included wherever the reference's margin exceeds twice
// that; and the production path bit for bit with the plain C++ kernels of the same arithmetic. What rounding
// activations costs is shown as Kullback-Leibler divergence and gated.
#pragma once

#include <filesystem>
#include <vector>

#include "golden/golden_line.h"

namespace folio::golden {

// Nats, mean over all positions. Activations of about 16 bits cost some 1e-9, int8 2e-4.
inline constexpr double kMaxDivergence = 1e-3;
inline constexpr double kMaxInt16Divergence = 1e-6;

bool is_model_folder(const std::filesystem::path& folder);
std::vector<GoldenLine> check_model(const std::filesystem::path& folder);

}  // namespace folio::golden
