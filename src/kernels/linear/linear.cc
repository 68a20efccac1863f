#include "kernels/linear/linear.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "kernels/linear/linear_tasks.h"
#include "kernels/quant/dequantize.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kRowBlockBytes = std::size_t{64}
                                       << 10;  // activations that stay in the second-level cache

// The rows [first, first + count) of x.
ActivationRows rows_from(const ActivationRows& x, std::size_t first, std::size_t count) {
  ActivationRows part = x;
  part.rows = count;
  if (part.values != nullptr) part.values += first * x.value_stride;
  if (part.bfloats != nullptr) part.bfloats += first * x.bfloat_stride;
  if (part.codes == nullptr) return part;
  part.codes += first * kCodePlanes * x.code_stride;
  part.scales += first * x.group_stride;
  part.sums += first * x.group_stride;
  part.half_sums += first * x.group_stride * 2;
  if (part.wide != nullptr) part.wide += first * x.group_stride;
  return part;
}

// Expands the 16 stored rows of a kRows panel one by one; each is used for all rows of x before the next.
void run_rows_panel(PanelKernel kernel, const LinearCall& call, std::size_t panel, const ActivationRows& x,
                    float* expanded) {
  const MatrixShape& shape = call.matrix->shape;
  const std::size_t stored = row_bytes(shape.type, shape.columns);
  const std::size_t end = std::min(shape.rows, (panel + 1) * kPanelOutputs);
  for (std::size_t o = panel * kPanelOutputs; o < end; ++o) {
    dequantize(shape.type, call.matrix->data + o * stored, expanded, shape.columns);
    kernel({.panel = reinterpret_cast<const std::uint8_t*>(expanded),
            .columns = shape.columns,
            .x = &x,
            .out = call.out + o,
            .out_stride = call.out_stride,
            .width = 1,
            .bias = call.bias == nullptr ? nullptr : call.bias + o,
            .epilogue = call.epilogue});
  }
}

void run_panel(PanelKernel kernel, const LinearCall& call, std::size_t panel, std::size_t first_row,
               const ActivationRows& x) {
  const MatrixShape& shape = call.matrix->shape;
  const std::size_t first_output = panel * kPanelOutputs;
  kernel({.panel = reinterpret_cast<const std::uint8_t*>(call.matrix->data + panel * shape.panel_bytes()),
          .columns = shape.columns,
          .x = &x,
          .out = call.out + first_row * call.out_stride + first_output,
          .out_stride = call.out_stride,
          .width = std::min(kPanelOutputs, shape.rows - first_output),
          .bias = call.bias == nullptr ? nullptr : call.bias + first_output,
          .epilogue = call.epilogue});
}

// A line more than whole lines: at a power of two the rows of a tile would lie in one set of the first-level
// cache.
std::size_t row_stride(std::size_t max_columns) { return (max_columns + 63) / 64 * 64 + 64; }

Result<platform::Arena> interleaved(std::size_t bytes) {
  return platform::Arena::create(bytes, "activations", platform::Placement::kInterleaved);
}

}  // namespace

auto quantizer(const RowKernels& kernels, Arithmetic arithmetic) -> decltype(kernels.quantize_mixed) {
  FOLIO_CHECK(arithmetic != Arithmetic::kFloat, "float arithmetic quantises nothing");
  return arithmetic == Arithmetic::kInt16 ? kernels.quantize16 : kernels.quantize_mixed;
}

std::size_t QuantizedRows::bytes(std::size_t max_rows, std::size_t max_columns, Arithmetic arithmetic) {
  if (arithmetic == Arithmetic::kFloat) return 0;
  const std::size_t stride = row_stride(max_columns), groups = activation_groups(max_columns);
  const std::size_t group_bytes = sizeof(float) + 3 * sizeof(std::int32_t) + 1;  // scale, sums, wide
  const std::size_t bfloats = rounds_to_bf16(arithmetic) ? stride * sizeof(std::uint16_t) : 0;
  return max_rows * (kCodePlanes * stride + groups * group_bytes + bfloats);
}

Result<QuantizedRows> QuantizedRows::create(std::size_t max_rows, std::size_t max_columns,
                                            Arithmetic arithmetic) {
  QuantizedRows rows;
  rows.arithmetic_ = arithmetic;
  if (arithmetic == Arithmetic::kFloat) return rows;
  rows.code_stride_ = row_stride(max_columns);
  rows.group_stride_ = activation_groups(max_columns);
  const std::size_t groups = max_rows * rows.group_stride_;
  FOLIO_TRY(codes, interleaved(max_rows * kCodePlanes * rows.code_stride_));
  FOLIO_TRY(scales, interleaved(groups * sizeof(float)));
  FOLIO_TRY(sums, interleaved(groups * sizeof(std::int32_t)));
  FOLIO_TRY(half_sums, interleaved(groups * 2 * sizeof(std::int32_t)));
  FOLIO_TRY(wide, interleaved(groups));
  if (rounds_to_bf16(arithmetic)) {
    rows.bfloat_stride_ = rows.code_stride_;  // even, and a line more than whole lines
    FOLIO_TRY(bfloats, interleaved(max_rows * rows.bfloat_stride_ * sizeof(std::uint16_t)));
    rows.bfloats_ = std::move(bfloats);
  }
  rows.codes_ = std::move(codes);
  rows.scales_ = std::move(scales);
  rows.sums_ = std::move(sums);
  rows.half_sums_ = std::move(half_sums);
  rows.wide_ = std::move(wide);
  return rows;
}

QuantizedRow QuantizedRows::row(std::size_t index) const {
  auto* codes = reinterpret_cast<std::int8_t*>(codes_.data()) + index * kCodePlanes * code_stride_;
  return {.codes = codes,
          .low = codes + code_stride_,
          .wide = reinterpret_cast<std::uint8_t*>(wide_.data()) + index * group_stride_,
          .scales = reinterpret_cast<float*>(scales_.data()) + index * group_stride_,
          .sums = reinterpret_cast<std::int32_t*>(sums_.data()) + index * group_stride_,
          .half_sums = reinterpret_cast<std::int32_t*>(half_sums_.data()) + index * group_stride_ * 2};
}

void QuantizedRows::fill_row(const RowKernels& kernels, const float* x, std::size_t index,
                             std::size_t columns) {
  quantizer(kernels, arithmetic_)(x, columns, row(index));
}

void QuantizedRows::round_row(const RowKernels& kernels, const float* x, std::size_t index,
                              std::size_t columns) {
  kernels.round_bf16(x, columns, bfloats() + index * bfloat_stride_);
}

void QuantizedRows::describe(ActivationRows& rows) const {
  const QuantizedRow first = row(0);
  rows.codes = first.codes;
  rows.scales = first.scales;
  rows.sums = first.sums;
  rows.half_sums = first.half_sums;
  rows.code_stride = code_stride_;
  rows.group_stride = group_stride_;
  rows.wide = first.wide;
  rows.bfloats = bfloats();
  rows.bfloat_stride = bfloat_stride_;
}

void linear(const LinearKernels& kernels, platform::ThreadPool& pool, RowScratch& scratch,
            const ActivationRows& x, std::span<const LinearCall> calls) {
  FOLIO_CHECK(!calls.empty() && calls.size() <= LinearTasks::kMaxCalls, "linear() takes 1 to 4 matrices");
  std::array<const MatrixShape*, LinearTasks::kMaxCalls> shapes{};
  for (std::size_t i = 0; i < calls.size(); ++i) shapes[i] = &calls[i].matrix->shape;
  const std::span used = std::span(shapes).first(calls.size());
  const LinearTasks tasks(used, x.rows, pool.node_ends());
  const std::size_t columns = calls.front().matrix->shape.columns;
  const std::size_t row_block = std::max<std::size_t>(16, kRowBlockBytes / columns / 16 * 16);

  pool.run(tasks.size(), [&](std::size_t index, int thread) {
    const auto [i, first, end] = tasks.at(index);
    const LinearCall& call = calls[i];
    const MatrixShape& shape = call.matrix->shape;
    const PanelKernel kernel = panel_kernel(kernels, shape.format);
    if (shape.format == LinearFormat::kRows) {
      for (std::size_t panel = first; panel < end; ++panel)
        run_rows_panel(kernel, call, panel, x, scratch.of_thread(thread));
      return;
    }
    for (std::size_t row = 0; row < x.rows; row += row_block) {
      const ActivationRows part = rows_from(x, row, std::min(row_block, x.rows - row));
      for (std::size_t panel = first; panel < end; ++panel) run_panel(kernel, call, panel, row, part);
    }
  });
}

}  // namespace folio::kernels
