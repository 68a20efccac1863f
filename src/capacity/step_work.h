// What a step of a model must compute and read at the least, counted from its shapes, and the time that a
// machine's measured limits allow for it.
//
// Counted: every weight matrix once for each row that goes through it (a multiply-add is two operations),
// the output matrix for the rows that want logits only, and in attention the scores and the weighted sums of
// the positions that a row may see. Not counted: norms, rotation, the softmax's exponentials, embedding
// look-ups, sampling - a few thousandths of the whole, and the time they take shows as distance from the
// limit.
//
// Bytes: the packed weights once for each step, and the keys and values of every position that the step sees,
// once however many rows or streams see it.
//
// Two planes of int8 activations are twice the dot products. `nominal` counts the model's own operations,
// `executed` what the arithmetic chosen makes of them; limits are held against the executed ones.
//
// Thread rule: pure functions of values.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "kernels/linear/packed_matrix.h"
#include "kernels/probe/machine_probe.h"
#include "kv/kv_geometry.h"
#include "model/model_config.h"
#include "model/tensor_roles.h"
#include "weights/tensor_store.h"

namespace folio::capacity {

enum class OperationKind { kInt8, kBF16, kF32 };  // which of the machine's peaks limits it

struct MatrixWork {
  double multiply_adds = 0;  // per row
  double bytes = 0;          // packed
  OperationKind kind = OperationKind::kF32;
  double planes = 1;  // executed operations / nominal ones
};

// Everything the counts depend on.
struct ModelWork {
  std::vector<MatrixWork> layers;  // of all layers
  MatrixWork output;
  double attention_operations = 0;  // per row and position seen, all layers
  double kv_token_bytes = 0;        // keys and values of one position, all layers
  std::size_t window = 0;           // positions that a row sees at most; 0: all

  double weight_bytes() const;  // that a step with logits reads
};

using model::MatrixRole;

struct MatrixSpec {
  kernels::TensorType type;
  std::size_t rows, columns;
  MatrixRole role;
};

// The matrices of a file: those named as embedding and output by either format, all others as layers'.
// Where there is no output matrix the embedding is both.
[[nodiscard]] std::vector<MatrixSpec> matrices_of(const weights::TensorStore& tensors);

[[nodiscard]] ModelWork count_model(const std::vector<MatrixSpec>& matrices, const model::ModelConfig& config,
                                    const kv::KvGeometry& geometry, kernels::Arithmetic arithmetic);

// Positions [first, end) of one sequence, each seeing itself and all before it, at most `window` (0: all).
[[nodiscard]] double visible_positions(std::size_t first, std::size_t end, std::size_t window);

// One step, or the mean of several: hence the fractions.
struct StepLoad {
  double rows = 0;           // tokens computed
  double outputs = 0;        // of them, with logits
  double visible = 0;        // sum over the rows of the positions they see
  double cached_tokens = 0;  // distinct positions whose keys and values are read
};

struct WorkTotals {
  double nominal_operations = 0, executed_operations = 0;
  double weight_bytes = 0, kv_bytes = 0;
  // The least time: for each matrix and for attention, operations / peak or bytes / bandwidth, whichever is
  // longer, summed. 0 without limits.
  double limit_s = 0, nominal_limit_s = 0;

  double bytes() const { return weight_bytes + kv_bytes; }
};

// Which memory limits a step that reads `bytes`: the last-level cache where it holds all of them.
enum class Memory { kDram, kCache };
[[nodiscard]] Memory limiting_memory(double bytes, std::size_t last_level_cache_bytes);
[[nodiscard]] double bandwidth(const kernels::MachineLimits& limits, Memory memory);  // of all threads

// What a step takes before any was measured: once, for each row, and for each pair of a row and a position it
// sees. A desktop's rates: 10 GB/s of weights, 50 MB of them per millisecond and row, 10 GFLOP/s of
// attention. They decide how the first steps are cut, never what they compute.
struct StepTimes {
  double fixed_ms, row_ms, attention_ms;
};
[[nodiscard]] StepTimes guess_times(std::size_t step_weight_bytes, const model::ModelConfig& config);

// What `steps` steps of this load come to. `limits` unset: no times.
struct Roofline {
  const kernels::MachineLimits* limits = nullptr;
  Memory memory = Memory::kDram;
};
[[nodiscard]] WorkTotals count_steps(const ModelWork& model, const StepLoad& step, double steps,
                                     const Roofline& roofline);

}  // namespace folio::capacity
