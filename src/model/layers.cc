#include "model/layers.h"

#include <algorithm>

#include "base/check.h"

namespace folio::model {

void RmsNorm::apply(const Pass& pass, const float* x, float* out) const {
  const std::size_t n = weight.size();
  pass.pool.run(pass.rows, [&](std::size_t r, int) {
    pass.kernels.rows.rms_norm(x + r * n, weight.data(), epsilon, out + r * n, n);
  });
}

void apply_linear(const Pass& pass, const float* x, std::initializer_list<LinearOutput> outputs) {
  std::array<kernels::LinearCall, 4> calls;
  FOLIO_CHECK(outputs.size() <= calls.size(), "too many matrices in one call");
  const std::size_t inputs = outputs.begin()->layer.inputs();
  bool codes = false;
  std::size_t count = 0;
  for (const LinearOutput& output : outputs) {
    const Linear& layer = output.layer;
    FOLIO_DCHECK(layer.inputs() == inputs, "matrices of one call share their input");
    codes = codes || kernels::takes_codes(layer.matrix.shape.format);
    calls[count++] = {.matrix = &layer.matrix,
                      .bias = layer.bias.empty() ? nullptr : layer.bias.data(),
                      .out = output.out,
                      .out_stride = layer.outputs(),
                      .epilogue = output.epilogue};
  }
  kernels::ActivationRows rows{.values = x,
                               .value_stride = inputs,
                               .codes = nullptr,
                               .scales = nullptr,
                               .sums = nullptr,
                               .half_sums = nullptr,
                               .code_stride = 0,
                               .group_stride = 0,
                               .rows = pass.rows};
  Workspace& w = pass.workspace;
  if (codes) {
    w.quantized.fill(pass.kernels.rows, pass.pool, x, inputs, pass.rows, inputs);
    w.quantized.describe(rows);
  }
  kernels::linear(pass.kernels.linear, pass.pool, w.row_scratch, rows, std::span(calls.data(), count));
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

void rotate(const Pass& pass, const Rope& rope, const RotateArgs& args) {
  const std::size_t pairs = rope.pairs();
  const auto turn = rope.layout() == RopeLayout::kAdjacent ? pass.kernels.rows.rope_adjacent
                                                           : pass.kernels.rows.rope_halves;
  const std::size_t width = args.heads * args.head_dim;
  pass.pool.run(pass.rows, [&](std::size_t r, int) {
    float* row = args.x + r * width;
    for (std::size_t head = 0; head < args.heads; ++head)
      turn(row + head * args.head_dim, pass.workspace.cosines() + r * pairs,
           pass.workspace.sines() + r * pairs, pairs);
    if (args.scale != 1.0F)
      for (std::size_t i = 0; i < width; ++i) row[i] *= args.scale;
  });
}

void silu_gate(const Pass& pass, float* gate, const float* up, std::size_t n) {
  pass.pool.run(pass.rows, [&](std::size_t r, int) {
    pass.kernels.rows.silu_mul(gate + r * n, up + r * n, gate + r * n, n);
  });
}

}  // namespace folio::model
