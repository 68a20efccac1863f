// What batch invariance costs: the production kernel, whose order of additions is one for every batch, beside
// kernels that are free in it, on the matrices of a 1B Llama layer in Q4_0; for one row (decode), 32 (batched
// decode) and 512 (prefill). The fastest free kernel is chosen for each shape, then the two run in 21
// alternating pairs.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <vector>

#include "base/check.h"
#include "free_order.h"
#include "kernels/kernel_set.h"
#include "kernels/linear/linear.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace folio::order_cost {
namespace {

using kernels::ActivationRows;
using kernels::MatrixShape;
using kernels::PanelKernel;

constexpr std::size_t kTrials = 5;
constexpr std::size_t kRowBlock = 32, kTaskPanels = 8;

struct Options {
  std::size_t pairs = 21;
  std::size_t megabytes = 512;  // of weights for one row: so many that it reads memory, as a model does
};

// Copies of one matrix, and activations for it.
struct Work {
  MatrixShape shape;
  std::size_t matrices, rows;
  platform::Arena weights, out;
  kernels::QuantizedRows quantized;
  ActivationRows x;
};

Work make_work(std::size_t columns, std::size_t outputs, std::size_t rows, std::size_t bytes) {
  Work work;
  work.rows = rows;
  work.shape = {.type = kernels::TensorType::kQ4_0,
                .format = kernels::LinearFormat::kQ4_0,
                .rows = outputs,
                .columns = columns};
  // Of many rows a few matrices take long enough.
  work.matrices = std::max<std::size_t>(2, bytes / work.shape.packed_bytes() / rows);
  work.weights = platform::Arena::create(work.matrices * work.shape.packed_bytes(), "weights").value();
  work.out = platform::Arena::create(rows * outputs * sizeof(float), "outputs").value();
  std::mt19937_64 rng(3);
  std::vector<std::byte> stored(kernels::row_bytes(work.shape.type, columns) * kernels::kPanelOutputs);
  const std::size_t panels = work.matrices * work.shape.panels();
  for (std::size_t panel = 0; panel < panels; ++panel) {
    for (std::size_t i = 0; i < stored.size(); ++i)
      stored[i] = static_cast<std::byte>(i % 18 == 0 ? 0 : i % 18 == 1 ? 0x24 : rng());  // scales of 2^-6
    kernels::pack_panel(work.shape, stored.data(), kernels::kPanelOutputs,
                        work.weights.data() + panel * work.shape.panel_bytes());
  }
  work.quantized = kernels::QuantizedRows::create(rows, columns, kernels::Arithmetic::kMixed).value();
  std::normal_distribution<float> normal;
  std::vector<float> x(columns);
  for (std::size_t row = 0; row < rows; ++row) {
    for (float& v : x) v = normal(rng);
    work.quantized.fill_row(kernels::kernel_set(kernels::Isa::kAvx512).rows, x.data(), row, columns);
  }
  work.x = {};
  work.x.rows = rows;
  work.quantized.describe(work.x);
  return work;
}

// All matrices with all rows, panels shared out over the threads; seconds.
double pass(const Work& work, platform::ThreadPool& pool, PanelKernel kernel) {
  const std::size_t panels = work.shape.panels(), tasks = (panels + kTaskPanels - 1) / kTaskPanels;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t matrix = 0; matrix < work.matrices; ++matrix)
    pool.run(tasks, [&](std::size_t task, int) {
      for (std::size_t row = 0; row < work.rows; row += kRowBlock) {
        ActivationRows part = work.x;
        part.rows = std::min(kRowBlock, work.rows - row);
        part.codes += row * kernels::kCodePlanes * part.code_stride;
        part.scales += row * part.group_stride;
        part.sums += row * part.group_stride;
        part.half_sums += row * part.group_stride * 2;
        part.wide += row * part.group_stride;
        for (std::size_t panel = task * kTaskPanels; panel < std::min(panels, (task + 1) * kTaskPanels);
             ++panel)
          kernel({.panel = reinterpret_cast<const std::uint8_t*>(work.weights.data()) +
                           matrix * work.shape.packed_bytes() + panel * work.shape.panel_bytes(),
                  .columns = work.shape.columns,
                  .x = &part,
                  .out = reinterpret_cast<float*>(work.out.data()) + row * work.shape.rows +
                         panel * kernels::kPanelOutputs,
                  .out_stride = work.shape.rows,
                  .width = kernels::kPanelOutputs,
                  .bias = nullptr,
                  .epilogue = kernels::Epilogue::kStore});
      }
    });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<float> outputs(const Work& work) {
  const auto* out = reinterpret_cast<const float*>(work.out.data());
  return {out, out + work.rows * work.shape.rows};
}

// A free kernel computes the same sums, but for rounding.
void check(const std::vector<float>& a, const std::vector<float>& b, const Variant& variant) {
  for (std::size_t i = 0; i < a.size(); ++i)
    FOLIO_CHECK(std::abs(a[i] - b[i]) <= 1e-4f * (1 + std::abs(a[i])), variant.name);
}

void measure(std::size_t columns, std::size_t output_count, std::size_t rows, const Options& options,
             platform::ThreadPool& pool) {
  const Work work = make_work(columns, output_count, rows, options.megabytes << 20);
  const PanelKernel ours = kernels::kernel_set(kernels::Isa::kAvx512).linear.q4_0;
  pass(work, pool, ours);
  const std::vector<float> expected = outputs(work);
  const Variant* fastest = nullptr;
  double least_s = 0;
  for (const Variant& variant : free_order_variants()) {
    double best_s = pass(work, pool, variant.run);
    check(expected, outputs(work), variant);
    for (std::size_t trial = 1; trial < kTrials; ++trial)
      best_s = std::min(best_s, pass(work, pool, variant.run));
    if (fastest == nullptr || best_s < least_s) fastest = &variant, least_s = best_s;
  }
  std::vector<double> ratios, ours_s;
  for (std::size_t pair = 0; pair < options.pairs; ++pair) {
    double free_s = pair % 2 == 0 ? 0 : pass(work, pool, fastest->run);
    ours_s.push_back(pass(work, pool, ours));
    if (pair % 2 == 0) free_s = pass(work, pool, fastest->run);
    ratios.push_back(ours_s.back() / free_s);
  }
  std::ranges::sort(ratios);
  std::ranges::sort(ours_s);
  const double median_s = ours_s[ours_s.size() / 2];
  const auto cost = [&](std::size_t quarter) {
    return (ratios[(ratios.size() - 1) * quarter / 4] - 1) * 100;
  };
  const double operations = 2.0 * static_cast<double>(work.matrices * rows * columns * output_count);
  const double bytes = static_cast<double>(work.matrices * work.shape.packed_bytes());
  fmt::print("{:>4} x {:<5} {:>4} {:>10.1f} {:>8.1f}   {:+5.1f} % ({:+.1f} to {:+.1f})   {}\n", columns,
             output_count, rows, operations / median_s * 1e-9, bytes / median_s * 1e-9, cost(2), cost(1),
             cost(3), fastest->name);
}

}  // namespace
}  // namespace folio::order_cost

int main(int argc, char** argv) {
  using namespace folio;
  order_cost::Options options;
  CLI::App app("What a fixed order of additions costs the linear layers; see docs/benchmarks.md",
               "folio-order-cost");
  app.add_option("--pairs", options.pairs, "Alternating runs of both kernels (21)")
      ->check(CLI::Range(1, 1000));
  app.add_option("--megabytes", options.megabytes, "Weights that one row reads (512)")
      ->check(CLI::Range(1, 65536));
  CLI11_PARSE(app, argc, argv);
  if (!platform::cpu_features().avx512_vnni) {
    fmt::print(stderr,
               "folio-order-cost: the kernels to compare with need AVX-512 VNNI, which this CPU lacks\n");
    return 1;
  }
  platform::ThreadPool pool(platform::available_cpus());
  fmt::print("{}, {} threads, Q4_0, mixed activations; median of {} pairs (quartiles)\n\n",
             platform::cpu_features().model_name, pool.size(), options.pairs);
  fmt::print("matrix       rows      Gop/s     GB/s   cost of the order         the fastest without it\n");
  for (const std::size_t rows : {1, 32, 512}) {
    order_cost::measure(2048, 8192, rows, options, pool);
    order_cost::measure(8192, 2048, rows, options, pool);
  }
}
