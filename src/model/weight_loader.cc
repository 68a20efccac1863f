#include "model/weight_loader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/quant/dequantize.h"
#include "kernels/quant/quantize.h"
#include "model/tensor_roles.h"
#include "model/unread_tensors.h"
#include "weights/quote.h"
#include "weights/tensor_digest.h"

namespace folio::model {
namespace {

using kernels::LinearFormat;
using kernels::MatrixShape;
using kernels::TensorType;

constexpr std::size_t kAlignment = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

double bits_per_weight(TensorType type) {
  const kernels::TensorTypeInfo& i = kernels::info(type);
  return 8.0 * i.bytes / i.elements;
}

std::size_t whole_blocks_of(TensorType type) { return kernels::info(type).elements; }

MatrixShape shape_of(const weights::Tensor& tensor, const LoadOptions& options) {
  MatrixShape shape{.type = tensor.type, .format = {}, .rows = tensor.rows(), .columns = tensor.columns()};
  if (options.quantize) {
    const bool of_layer = role_of(tensor.name) == MatrixRole::kLayer;
    const TensorType wanted = of_layer ? *options.quantize : TensorType::kQ8_0;
    if (bits_per_weight(tensor.type) > bits_per_weight(wanted) &&
        shape.columns % whole_blocks_of(wanted) == 0)
      shape.type = wanted;
  }
  shape.format = kernels::linear_format(shape.type, options.arithmetic);
  return shape;
}

}  // namespace

WeightLoader WeightLoader::checking(const weights::TensorStore& store, const LoadOptions& options) {
  return {store, nullptr, options};
}

Result<WeightLoader> WeightLoader::create(const weights::TensorStore& store, platform::ThreadPool& pool,
                                          const LoadOptions& options) {
  FOLIO_CHECK(!options.quantize || kernels::can_quantize_to(*options.quantize),
              "not a type that weights can be turned into");
  WeightLoader loader(store, &pool, options);
  FOLIO_TRY(arena, platform::Arena::create(bytes(store, options).packed, "weights"));
  loader.memory_.arena = std::move(arena);
  return loader;
}

WeightLoader::Bytes WeightLoader::bytes(const weights::TensorStore& store, const LoadOptions& options) {
  Bytes sum;
  for (const weights::Tensor& tensor : store.all()) {
    sum.largest_tensor = std::max(sum.largest_tensor, tensor.data.size());
    if (may_stay_unread(tensor.name, tensor.shape)) continue;
    if (tensor.shape.size() != 2)
      sum.vectors += tensor.elements() * sizeof(float);
    else if (tensor.columns() % whole_blocks_of(tensor.type) == 0)
      sum.packed += aligned(shape_of(tensor, options).packed_bytes());
  }
  return sum;
}

Result<kernels::PackedMatrix> WeightLoader::matrix(const std::string& name, std::size_t rows,
                                                   std::size_t columns) {
  FOLIO_TRY(tensor, store_->get(name));
  if (tensor->shape.size() != 2 || tensor->rows() != rows || tensor->columns() != columns)
    return fail(ErrorKind::kInvalid, "{}: tensor {} is [{}]; the configuration says [{}, {}]",
                store_->source(), name, fmt::join(tensor->shape, ", "), rows, columns);
  if (columns % whole_blocks_of(tensor->type) != 0)
    return fail(ErrorKind::kInvalid, "{}: tensor {} has rows of {} numbers, no whole number of {} blocks",
                store_->source(), name, columns, kernels::info(tensor->type).name);
  asked_for_.insert(tensor->name);
  const MatrixShape shape = shape_of(*tensor, options_);
  if (is_checking()) return kernels::PackedMatrix{.shape = shape, .data = nullptr};
  const std::size_t bytes = aligned(shape.packed_bytes());
  FOLIO_CHECK(memory_.used_bytes + bytes <= memory_.arena.size(), "create() reserved too little");
  std::byte* out = memory_.arena.data() + memory_.used_bytes;
  memory_.used_bytes += bytes;
  pack(*tensor, shape, out);
  FOLIO_TRY_STATUS(store_->check_whole(*tensor));
  store_->release(*tensor);
  return kernels::PackedMatrix{.shape = shape, .data = out};
}

// A panel's rows are hashed as they are packed: they come into the cache once.
void WeightLoader::pack(const weights::Tensor& tensor, const MatrixShape& shape, std::byte* out) {
  static_assert(weights::TensorDigest::kPieceRows == kernels::kPanelOutputs);
  const std::byte* source = tensor.data.data();
  const std::size_t source_row = kernels::row_bytes(tensor.type, shape.columns);
  const std::size_t row = kernels::row_bytes(shape.type, shape.columns);
  // Where the type changes, each thread holds one panel's rows in the new type.
  const bool convert = shape.type != tensor.type;
  const std::size_t threads = static_cast<std::size_t>(pool_->size());
  std::vector<float> floats(convert ? threads * shape.columns : 0);
  std::vector<std::byte> blocks(convert ? threads * kernels::kPanelOutputs * row : 0);
  weights::TensorDigest digest(tensor);
  pool_->run(shape.panels(), [&](std::size_t panel, int thread) {
    digest.hash_piece(panel);
    const std::size_t first = panel * kernels::kPanelOutputs;
    const std::size_t count = std::min(kernels::kPanelOutputs, shape.rows - first);
    const std::byte* rows = source + first * source_row;
    if (convert) {
      float* expanded = floats.data() + static_cast<std::size_t>(thread) * shape.columns;
      std::byte* converted = blocks.data() + static_cast<std::size_t>(thread) * kernels::kPanelOutputs * row;
      for (std::size_t r = 0; r < count; ++r) {
        kernels::dequantize(tensor.type, rows + r * source_row, expanded, shape.columns);
        kernels::quantize(shape.type, expanded, converted + r * row, shape.columns);
      }
      rows = converted;
    }
    if (shape.format == LinearFormat::kRows)
      std::memcpy(out + first * row, rows, count * row);
    else
      kernels::pack_panel(shape, rows, count, out + panel * shape.panel_bytes());
  });
  took(tensor, digest.value());
}

Result<std::vector<float>> WeightLoader::vector(const std::string& name, std::size_t size) {
  FOLIO_TRY(tensor, store_->get(name));
  if (tensor->elements() != size || tensor->shape.size() != 1)
    return fail(ErrorKind::kInvalid, "{}: tensor {} is [{}]; the configuration says [{}]", store_->source(),
                name, fmt::join(tensor->shape, ", "), size);
  if (size % whole_blocks_of(tensor->type) != 0)
    return fail(ErrorKind::kInvalid, "{}: tensor {} has {} numbers, no whole number of {} blocks",
                store_->source(), name, size, kernels::info(tensor->type).name);
  asked_for_.insert(tensor->name);
  if (is_checking()) return std::vector<float>{};
  std::vector<float> values(size);
  kernels::dequantize(tensor->type, tensor->data.data(), values.data(), size);
  weights::TensorDigest digest(*tensor);
  digest.hash_all();
  FOLIO_TRY_STATUS(store_->check_whole(*tensor));
  took(*tensor, digest.value());
  return values;
}

Result<std::vector<float>> WeightLoader::optional_vector(const std::string& name, std::size_t size) {
  if (!has(name)) return std::vector<float>{};
  return vector(name, size);
}

// The file's order is not part of the digest: the order of asking is the architecture's.
void WeightLoader::took(const weights::Tensor& tensor, const Hash128& content) {
  memory_.digest = hash128({std::as_bytes(std::span(&memory_.digest, 1)),
                            std::as_bytes(std::span(&content, 1)), std::as_bytes(std::span(tensor.name))});
  done_bytes_ += tensor.data.size();
  if (options_.progress) options_.progress(done_bytes_, store_->total_bytes());
}

Result<WeightMemory> WeightLoader::finish(std::string_view architecture) {
  const std::string* first = nullptr;
  std::size_t unread = 0;
  const auto look_at = [&](const auto& tensors) {
    for (const auto& tensor : tensors) {
      if (asked_for_.contains(tensor.name) || may_stay_unread(tensor.name, tensor.shape)) continue;
      if (unread++ == 0) first = &tensor.name;
    }
  };
  look_at(store_->all());
  look_at(store_->foreign());
  if (unread > 0)
    return fail(ErrorKind::kUnsupported,
                "{}: tensor {}{} is no part of {} as folio computes it, and without it the answers would be "
                "wrong; use a model of a supported architecture, or the one that this was made from",
                store_->source(), weights::quote(*first),
                unread > 1 ? fmt::format(" (and {} more)", unread - 1) : "", architecture);
  return std::move(memory_);
}

}  // namespace folio::model
