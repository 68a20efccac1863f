#include "capacity/step_work.h"

#include <algorithm>

namespace folio::capacity {
namespace {

// What one multiply-add of the model costs in dot products. What the mixed arithmetic adds for the groups
// that stand out depends on the text and is not counted.
double dots(kernels::Arithmetic arithmetic) { return arithmetic == kernels::Arithmetic::kInt16 ? 2 : 1; }

MatrixWork work_of(const MatrixSpec& matrix, kernels::Arithmetic arithmetic) {
  const kernels::LinearFormat format = kernels::linear_format(matrix.type, arithmetic);
  const kernels::MatrixShape shape{
      .type = matrix.type, .format = format, .rows = matrix.rows, .columns = matrix.columns};
  const bool codes = kernels::takes_codes(format), bfloats = kernels::takes_bfloats(format);
  return {.multiply_adds = static_cast<double>(matrix.rows) * static_cast<double>(matrix.columns),
          .bytes = static_cast<double>(shape.packed_bytes()),
          .kind = codes     ? OperationKind::kInt8
                  : bfloats ? OperationKind::kBF16
                            : OperationKind::kF32,
          .planes = codes ? dots(arithmetic) : 1.0};
}

double peak(const kernels::MachineLimits& limits, OperationKind kind) {
  if (kind == OperationKind::kInt8) return limits.int8_peak().all_threads;
  const bool bf16 = kind == OperationKind::kBF16 && limits.bf16.has_value();  // else two multiply-adds a pair
  return bf16 ? limits.bf16->all_threads : limits.f32.all_threads;
}

// One part of the sum: it computes and reads at the same time, and the slower of the two is the limit.
void add_part(WorkTotals& totals, const Roofline& roofline, OperationKind kind, double nominal, double planes,
              double bytes) {
  totals.nominal_operations += nominal;
  totals.executed_operations += nominal * planes;
  if (roofline.limits == nullptr) return;
  const double reading = bytes / bandwidth(*roofline.limits, roofline.memory);
  const double computing = nominal / peak(*roofline.limits, kind);
  totals.limit_s += std::max(reading, computing * planes);
  totals.nominal_limit_s += std::max(reading, computing);
}

}  // namespace

double ModelWork::weight_bytes() const {
  double bytes = output.bytes;
  for (const MatrixWork& matrix : layers) bytes += matrix.bytes;
  return bytes;
}

std::vector<MatrixSpec> matrices_of(const weights::TensorStore& tensors) {
  std::vector<MatrixSpec> matrices;
  for (const weights::Tensor& tensor : tensors.all()) {
    if (tensor.shape.size() != 2) continue;
    matrices.push_back({.type = tensor.type,
                        .rows = tensor.rows(),
                        .columns = tensor.columns(),
                        .role = model::role_of(tensor.name)});
  }
  return matrices;
}

ModelWork count_model(const std::vector<MatrixSpec>& matrices, const model::ModelConfig& config,
                      const kv::KvGeometry& geometry, kernels::Arithmetic arithmetic) {
  ModelWork work;
  const bool tied = std::ranges::find(matrices, MatrixRole::kOutput, &MatrixSpec::role) == matrices.end();
  for (const MatrixSpec& matrix : matrices) {
    if (matrix.role == MatrixRole::kLayer)
      work.layers.push_back(work_of(matrix, arithmetic));
    else if (matrix.role == MatrixRole::kOutput || tied)
      work.output = work_of(matrix, arithmetic);
  }
  // A score and a share of the weighted sum: head_dim multiply-adds each.
  work.attention_operations = 4.0 * config.layers * config.heads * config.head_dim;
  work.kv_token_bytes = static_cast<double>(geometry.bytes_per_token());
  work.window = config.window;
  return work;
}

double visible_positions(std::size_t first, std::size_t end, std::size_t window) {
  const auto up_to = [](double n) { return n * (n + 1) / 2; };  // 1 + 2 + ... + n
  const auto before = static_cast<double>(first), after = static_cast<double>(end);
  if (window == 0 || end <= window) return up_to(after) - up_to(before);
  const auto most = static_cast<double>(window);
  if (first >= window) return (after - before) * most;
  return up_to(most) - up_to(before) + (after - most) * most;
}

Memory limiting_memory(double bytes, std::size_t last_level_cache_bytes) {
  return bytes <= static_cast<double>(last_level_cache_bytes) ? Memory::kCache : Memory::kDram;
}

double bandwidth(const kernels::MachineLimits& limits, Memory memory) {
  return memory == Memory::kCache ? limits.cache.all_threads : limits.memory.all_threads;
}

StepTimes guess_times(std::size_t step_weight_bytes, const model::ModelConfig& c) {
  const double weight_bytes = static_cast<double>(std::max<std::size_t>(step_weight_bytes, 1));
  const double attention_flops = 4.0 * c.layers * c.heads * c.head_dim;
  return {.fixed_ms = weight_bytes / 1e7,
          .row_ms = weight_bytes / 5e7,
          .attention_ms = std::max(1.0, attention_flops) / 1e7};
}

WorkTotals count_steps(const ModelWork& model, const StepLoad& step, double steps, const Roofline& roofline) {
  WorkTotals one;
  for (const MatrixWork& matrix : model.layers) {
    one.weight_bytes += matrix.bytes;
    add_part(one, roofline, matrix.kind, 2 * matrix.multiply_adds * step.rows, matrix.planes, matrix.bytes);
  }
  // Where not every step wants logits, the others do not read the output matrix.
  const double output_share = std::min(step.outputs, 1.0);
  one.weight_bytes += model.output.bytes * output_share;
  add_part(one, roofline, model.output.kind, 2 * model.output.multiply_adds * step.outputs,
           model.output.planes, model.output.bytes * output_share);
  one.kv_bytes = model.kv_token_bytes * step.cached_tokens;
  add_part(one, roofline, OperationKind::kF32, model.attention_operations * step.visible, 1, one.kv_bytes);
  return {.nominal_operations = one.nominal_operations * steps,
          .executed_operations = one.executed_operations * steps,
          .weight_bytes = one.weight_bytes * steps,
          .kv_bytes = one.kv_bytes * steps,
          .limit_s = one.limit_s * steps,
          .nominal_limit_s = one.nominal_limit_s * steps};
}

}  // namespace folio::capacity
