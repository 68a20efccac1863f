// Checks a real model against recorded probabilities: a folder of files {text, tokens, total_nll, probes:
// [{position, ids, logprobs}], greedy: {tokens, margin}} made from the model's dequantised weights in
// float32. The model's own file is too large to lie beside them and is given.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "golden/golden_line.h"

namespace folio::golden {

// Nats, of the production path from the float path, mean over the probed positions. Activations of about 16
// bits cost a 135M model some 2e-7; one int8 plane would cost 2e-3 to 8e-3.
inline constexpr double kMaxProbeDivergence = 1e-5;

bool is_probe_folder(const std::filesystem::path& folder);
// Two lines per file: the float path within the derived tolerance, and the production path, whose distance is
// shown and gated by divergence. A text of more than `longest` tokens is skipped with one line.
std::vector<GoldenLine> check_probes(const std::filesystem::path& folder, const std::filesystem::path& model,
                                     std::size_t longest);

}  // namespace folio::golden
