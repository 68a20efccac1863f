#include "kernels/linear/linear.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/quant/dequantize.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kTaskBytes = std::size_t{24}
                                   << 10;  // weights a task reads at least: some microseconds of work
// With many rows a task takes more: all of them pass by it once, from the third-level cache, while its
// weights stay in the second. But no thread's share is cut into fewer tasks than this.
constexpr std::size_t kManyRows = 64, kManyRowsTaskBytes = std::size_t{192} << 10;
constexpr std::size_t kTasksOfThread = 8;
constexpr std::size_t kRowBlockBytes = std::size_t{64}
                                       << 10;  // activations that stay in the second-level cache
constexpr std::size_t kMaxCalls = 4;

// The rows [first, first + count) of x.
ActivationRows rows_from(const ActivationRows& x, std::size_t first, std::size_t count) {
  ActivationRows part = x;
  part.rows = count;
  if (part.values != nullptr) part.values += first * x.value_stride;
  if (part.codes == nullptr) return part;
  part.codes += first * x.planes * x.code_stride;
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

std::size_t task_panels(const MatrixShape& shape, std::size_t rows, int threads) {
  const std::size_t panel_bytes = std::max<std::size_t>(1, shape.panel_bytes());
  const std::size_t fewest = std::max<std::size_t>(1, kTaskBytes / panel_bytes);
  if (rows < kManyRows) return fewest;
  const std::size_t share = shape.panels() / (kTasksOfThread * static_cast<std::size_t>(threads));
  return std::max(fewest, std::min(share, kManyRowsTaskBytes / panel_bytes));
}

}  // namespace

auto quantizer(const RowKernels& kernels, Arithmetic arithmetic) -> decltype(kernels.quantize) {
  switch (arithmetic) {
    case Arithmetic::kMixed:
      return kernels.quantize_mixed;
    case Arithmetic::kInt16:
      return kernels.quantize16;
    default:
      return kernels.quantize;
  }
}

Result<QuantizedRows> QuantizedRows::create(std::size_t max_rows, std::size_t max_columns,
                                            Arithmetic arithmetic) {
  QuantizedRows rows;
  const std::size_t planes = rows.planes_ = activation_planes(arithmetic);
  rows.arithmetic_ = arithmetic;
  // A line more than whole lines: at a power of two the rows of a tile would lie in one set of the
  // first-level cache.
  rows.code_stride_ = (max_columns + 63) / 64 * 64 + 64;
  rows.group_stride_ = activation_groups(max_columns);
  const std::size_t groups = max_rows * rows.group_stride_;
  FOLIO_TRY(codes, platform::Arena::create(max_rows * planes * rows.code_stride_, "activations"));
  FOLIO_TRY(scales, platform::Arena::create(groups * sizeof(float), "activations"));
  FOLIO_TRY(sums, platform::Arena::create(groups * sizeof(std::int32_t), "activations"));
  FOLIO_TRY(half_sums, platform::Arena::create(groups * 2 * sizeof(std::int32_t), "activations"));
  FOLIO_TRY(wide, platform::Arena::create(groups, "activations"));
  rows.codes_ = std::move(codes);
  rows.scales_ = std::move(scales);
  rows.sums_ = std::move(sums);
  rows.half_sums_ = std::move(half_sums);
  rows.wide_ = std::move(wide);
  return rows;
}

QuantizedRow QuantizedRows::row(std::size_t index) const {
  auto* codes = reinterpret_cast<std::int8_t*>(codes_.data()) + index * planes_ * code_stride_;
  return {.codes = codes,
          .low = planes_ == 2 ? codes + code_stride_ : nullptr,
          .wide = reinterpret_cast<std::uint8_t*>(wide_.data()) + index * group_stride_,
          .scales = reinterpret_cast<float*>(scales_.data()) + index * group_stride_,
          .sums = reinterpret_cast<std::int32_t*>(sums_.data()) + index * group_stride_,
          .half_sums = reinterpret_cast<std::int32_t*>(half_sums_.data()) + index * group_stride_ * 2};
}

void QuantizedRows::fill_row(const RowKernels& kernels, const float* x, std::size_t index,
                             std::size_t columns) {
  quantizer(kernels, arithmetic_)(x, columns, row(index));
}

void QuantizedRows::describe(ActivationRows& rows) const {
  const QuantizedRow first = row(0);
  rows.codes = first.codes;
  rows.scales = first.scales;
  rows.sums = first.sums;
  rows.half_sums = first.half_sums;
  rows.code_stride = code_stride_;
  rows.group_stride = group_stride_;
  rows.planes = planes_;
  rows.wide = first.wide;
}

void linear(const LinearKernels& kernels, platform::ThreadPool& pool, RowScratch& scratch,
            const ActivationRows& x, std::span<const LinearCall> calls) {
  FOLIO_CHECK(!calls.empty() && calls.size() <= kMaxCalls, "linear() takes 1 to 4 matrices");
  // Tasks are runs of panels of one call; task_end[i] counts the tasks of calls 0..i.
  std::size_t panels_per_task[kMaxCalls], task_end[kMaxCalls], tasks = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const MatrixShape& shape = calls[i].matrix->shape;
    panels_per_task[i] = task_panels(shape, x.rows, pool.size());
    tasks += (shape.panels() + panels_per_task[i] - 1) / panels_per_task[i];
    task_end[i] = tasks;
  }
  const std::size_t columns = calls.front().matrix->shape.columns;
  const std::size_t row_block = std::max<std::size_t>(16, kRowBlockBytes / columns / 16 * 16);

  pool.run(tasks, [&](std::size_t task, int thread) {
    std::size_t i = 0;
    while (task >= task_end[i]) ++i;
    const LinearCall& call = calls[i];
    const MatrixShape& shape = call.matrix->shape;
    const PanelKernel kernel = panel_kernel(kernels, shape.format);
    const std::size_t first = (task - (i == 0 ? 0 : task_end[i - 1])) * panels_per_task[i];
    const std::size_t end = std::min(shape.panels(), first + panels_per_task[i]);
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
