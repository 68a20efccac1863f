#include "model/layers.h"

#include <algorithm>

#include "base/check.h"

namespace folio::model {

namespace {

using Calls = std::array<kernels::LinearCall, 4>;

// What the matrices of a call want beside floats.
struct Wanted {
  bool codes = false, bfloats = false;
};

// The kernels' view of `outputs`, and what they want.
Wanted list_calls(std::initializer_list<LinearOutput> outputs, std::size_t inputs, Calls& calls) {
  FOLIO_CHECK(outputs.size() <= calls.size(), "too many matrices in one call");
  Wanted wanted;
  std::size_t count = 0;
  for (const LinearOutput& output : outputs) {
    const Linear& layer = output.layer;
    FOLIO_CHECK(layer.inputs() == inputs, "matrices of one call share their input");
    wanted.codes = wanted.codes || kernels::takes_codes(layer.matrix.shape.format);
    wanted.bfloats = wanted.bfloats || kernels::takes_bfloats(layer.matrix.shape.format);
    calls[count++] = {.matrix = &layer.matrix,
                      .bias = layer.bias.empty() ? nullptr : layer.bias.data(),
                      .out = output.out,
                      .out_stride = layer.outputs(),
                      .epilogue = output.epilogue};
  }
  return wanted;
}

// prepare(row) makes that row of x; then the row is quantised or rounded, while it is in the first-level
// cache.
template <typename Prepare>
void prepare_and_multiply(const Pass& pass, const float* x, std::initializer_list<LinearOutput> outputs,
                          Prepare prepare) {
  const std::size_t inputs = outputs.begin()->layer.inputs();
  Calls calls;
  const Wanted wanted = list_calls(outputs, inputs, calls);
  Workspace& w = pass.workspace;
  pass.pool.run(pass.rows, [&](std::size_t r, int) {
    prepare(r);
    if (wanted.codes) w.quantized.fill_row(pass.kernels.rows, x + r * inputs, r, inputs);
    if (wanted.bfloats) w.quantized.round_row(pass.kernels.rows, x + r * inputs, r, inputs);
  });
  kernels::ActivationRows rows{.values = x,
                               .value_stride = inputs,
                               .codes = nullptr,
                               .scales = nullptr,
                               .sums = nullptr,
                               .half_sums = nullptr,
                               .code_stride = 0,
                               .group_stride = 0,
                               .rows = pass.rows};
  if (wanted.codes || wanted.bfloats) w.quantized.describe(rows);
  kernels::linear(pass.kernels.linear, pass.pool, w.row_scratch, rows,
                  std::span(calls.data(), outputs.size()));
}

}  // namespace

void apply_linear(const Pass& pass, const float* x, std::initializer_list<LinearOutput> outputs) {
  prepare_and_multiply(pass, x, outputs, [](std::size_t) {});
}

void apply_normed_linear(const Pass& pass, const RmsNorm& norm, const float* x,
                         std::initializer_list<LinearOutput> outputs) {
  const std::size_t n = norm.weight.size();
  float* out = pass.workspace.normed();
  prepare_and_multiply(pass, out, outputs, [&](std::size_t r) { norm.apply(pass, x + r * n, out + r * n); });
}

void apply_gated_linear(const Pass& pass, float* gate, const float* up,
                        std::initializer_list<LinearOutput> outputs) {
  const std::size_t n = outputs.begin()->layer.inputs();
  prepare_and_multiply(pass, gate, outputs, [&](std::size_t r) {
    pass.kernels.rows.silu_mul(gate + r * n, up + r * n, gate + r * n, n);
  });
}

void embed(const Pass& pass, const kernels::PackedMatrix& matrix, std::span<const TokenId> tokens,
           float* out) {
  const std::size_t n = matrix.shape.columns;
  pass.pool.run(tokens.size(), [&](std::size_t r, int) {
    kernels::unpack_row(matrix, static_cast<std::size_t>(raw(tokens[r])), out + r * n);
  });
}

void compute_angles(const Pass& pass, const Rope& rope, std::span<const std::uint32_t> positions) {
  const std::size_t pairs = rope.pairs();
  pass.pool.run(pass.rows, [&](std::size_t r, int) {
    rope.angles(positions[r], pass.workspace.cosines() + r * pairs, pass.workspace.sines() + r * pairs);
  });
}

void rotate_and_store(const Pass& pass, const RotateAndStore& args) {
  const std::size_t pairs = args.rope.pairs();
  const auto turn = args.rope.layout() == RopeLayout::kAdjacent ? pass.kernels.rows.rope_adjacent
                                                                : pass.kernels.rows.rope_halves;
  const std::size_t query_width = args.heads * args.head_dim;
  const std::size_t key_width = args.store.kv.kv_heads * args.head_dim;
  pass.pool.run(pass.rows, [&](std::size_t r, int) {
    const float* cosines = pass.workspace.cosines() + r * pairs;
    const float* sines = pass.workspace.sines() + r * pairs;
    float* query = args.queries + r * query_width;
    for (std::size_t at = 0; at < query_width; at += args.head_dim) turn(query + at, cosines, sines, pairs);
    for (std::size_t i = 0; i < query_width; ++i) query[i] *= args.scale;
    float* key = args.keys + r * key_width;
    for (std::size_t at = 0; at < key_width; at += args.head_dim) turn(key + at, cosines, sines, pairs);
    kernels::store_kv_row(pass.kernels.attention, args.store, r);
  });
}

}  // namespace folio::model
