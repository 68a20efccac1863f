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

  // out [n] = norm of x [n], one row; out may be x.
  void apply(const Pass& pass, const float* x, float* out) const {
    pass.kernels.rows.rms_norm(x, weight.data(), epsilon, out, weight.size());
  }
};

// One matrix of a fused call and where its output goes.
struct LinearOutput {
  const Linear& layer;
  float* out;  // [rows, outputs]
  kernels::Epilogue epilogue = kernels::Epilogue::kStore;
};

// All outputs from the same input x [rows, inputs] in one fork-join, after another in which each row is made
// ready: quantised or rounded, where a matrix wants codes or bfloat16, and before that normalised or gated by
// the calls below.
void apply_linear(const Pass& pass, const float* x, std::initializer_list<LinearOutput> outputs);

// The same of the norm of x, which goes to the workspace's `normed`.
void apply_normed_linear(const Pass& pass, const RmsNorm& norm, const float* x,
                         std::initializer_list<LinearOutput> outputs);

// The same of gate = silu(gate) * up, both [rows, inputs].
void apply_gated_linear(const Pass& pass, float* gate, const float* up,
                        std::initializer_list<LinearOutput> outputs);

// Where the tokens' rows of the embedding matrix go: out [rows, columns]. Requires: tokens are within the
// matrix.
void embed(const Pass& pass, const kernels::PackedMatrix& matrix, std::span<const TokenId> tokens,
           float* out);

// cosines and sines of the workspace for each row's position.
void compute_angles(const Pass& pass, const Rope& rope, std::span<const std::uint32_t> positions);

// Makes a batch's queries and keys functions of their positions, scales the queries and writes K and V to the
// rows' slots, from where attention reads them.
struct RotateAndStore {
  const Rope& rope;
  std::size_t heads, head_dim;  // of the queries; the keys' heads are those of store.kv
  float scale;                  // of attention
  float *queries, *keys;        // [rows, heads * head_dim], rotated in place
  kernels::StoreCall store;     // of `keys`, among others
};
void rotate_and_store(const Pass& pass, const RotateAndStore& args);

}  // namespace folio::model
