// Checks a real model against recorded probabilities: a folder of files {text, tokens, total_nll, probes:
// [{position, ids, logprobs}], greedy: {tokens, margin}} made from the model's dequantised weights in
// float32. The model's own file is too large to lie beside them and is given.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "golden/golden_line.h"

namespace folio::golden {

// Nats, from the float path, mean over the probed positions: of the production path, which costs a 135M model
// some 1e-3, and with activations of 16 bits, some 2e-7. Int8 would cost 2e-3 to 8e-3.
inline constexpr double kMaxProbeDivergence = 3e-3;
inline constexpr double kMaxInt16ProbeDivergence = 1e-5;

bool is_probe_folder(const std::filesystem::path& folder);
// Three lines per file: the float path within the derived tolerance, and the production path and that of 16
// bits, whose distance is shown and gated by divergence. A text of more than `longest` tokens is skipped with
// one line.
std::vector<GoldenLine> check_probes(const std::filesystem::path& folder, const std::filesystem::path& model,
                                     std::size_t longest);

}  // namespace folio::golden
