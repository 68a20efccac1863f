// The shared layers from which architectures are written. Each takes rows and writes rows; a row's result
// never depends on the other rows.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/kernel_set.h"
#include "kernels/linear/linear.h"
#include "model/batch.h"
#include "model/rope.h"
#include "model/workspace.h"
#include "platform/thread_pool.h"

namespace folio::model {

// What every layer needs besides its weights; lives for one forward pass.
struct Pass {
  const kernels::KernelSet& kernels;
  platform::ThreadPool& pool;
  Workspace& workspace;
  std::size_t rows;
};

struct Linear {
  kernels::PackedMatrix matrix;
  std::vector<float> bias;  // [outputs] or empty

  std::size_t outputs() const { return matrix.shape.rows; }
  std::size_t inputs() const { return matrix.shape.columns; }
};

struct RmsNorm {
  std::vector<float> weight;
  float epsilon;

  // out [rows, n] = norm of x [rows, n]; out may be x.
  void apply(const Pass& pass, const float* x, float* out) const;
};

// One matrix of a fused call and where its output goes.
struct LinearOutput {
  const Linear& layer;
  float* out;  // [rows, outputs]
  kernels::Epilogue epilogue = kernels::Epilogue::kStore;
};

// All outputs from the same input x [rows, inputs] in one fork-join; x is quantised once where a matrix wants
// int8.
void apply_linear(const Pass& pass, const float* x, std::initializer_list<LinearOutput> outputs);

// Where the tokens' rows of the embedding matrix go: out [rows, columns]. Requires: tokens are within the
// matrix.
void embed(const Pass& pass, const kernels::PackedMatrix& matrix, std::span<const TokenId> tokens,
           float* out);

// cosines and sines of the workspace for each row's position.
void compute_angles(const Pass& pass, const Rope& rope, std::span<const std::uint32_t> positions);

// Rotates each head of x [rows, heads * head_dim] in place, then multiplies by `scale` where that is not 1.
struct RotateArgs {
  float* x;
  std::size_t heads, head_dim;
  float scale;
};
void rotate(const Pass& pass, const Rope& rope, const RotateArgs& args);

// gate [rows, n] = silu(gate) * up.
void silu_gate(const Pass& pass, float* gate, const float* up, std::size_t n);

}  // namespace folio::model
