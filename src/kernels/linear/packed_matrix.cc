#include "kernels/linear/packed_matrix.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "kernels/linear/quantized_panel.h"
#include "kernels/quant/dequantize.h"
#include "kernels/quant/half.h"

namespace folio::kernels {
namespace {

// No unit of a quantised panel, and no padding of the others, is longer.
constexpr std::size_t kLargestTailBytes = 4096;

template <typename T>
T read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <typename T>
void pack_columns(const MatrixShape& shape, const std::byte* source, std::size_t rows, std::byte* panel) {
  for (std::size_t o = 0; o < rows; ++o) {
    const std::byte* row = source + o * shape.columns * sizeof(T);
    for (std::size_t k = 0; k < shape.columns; ++k)
      std::memcpy(panel + (k * kPanelOutputs + o) * sizeof(T), row + k * sizeof(T), sizeof(T));
  }
}

void pack_pairs(const MatrixShape& shape, const std::byte* source, std::size_t rows, std::byte* panel) {
  for (std::size_t o = 0; o < rows; ++o) {
    const std::byte* row = source + o * shape.columns * 2;
    for (std::size_t k = 0; k < shape.columns; ++k)
      std::memcpy(panel + ((k / 2 * kPanelOutputs + o) * 2 + k % 2) * 2, row + k * 2, 2);
  }
}

float half_at(const std::byte* base, std::size_t index) {
  return f16_to_f32(read<std::uint16_t>(base + index * 2));
}

}  // namespace

std::string_view name(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kMixed:
      return "mixed";
    case Arithmetic::kInt16:
      return "int16";
    case Arithmetic::kFloat:
      return "f32";
  }
  return "?";
}

std::optional<Arithmetic> arithmetic_of(std::string_view text) {
  for (const Arithmetic a : {Arithmetic::kMixed, Arithmetic::kInt16, Arithmetic::kFloat})
    if (name(a) == text) return a;
  return std::nullopt;
}

LinearFormat linear_format(TensorType type, Arithmetic arithmetic) {
  switch (type) {
    case TensorType::kF32:
      return LinearFormat::kF32;
    case TensorType::kF16:
      return LinearFormat::kF16;
    case TensorType::kBF16:
      return rounds_to_bf16(arithmetic) ? LinearFormat::kBF16Dots : LinearFormat::kBF16;
    default:
      break;
  }
  if (arithmetic == Arithmetic::kFloat) return LinearFormat::kRows;
  switch (type) {
    case TensorType::kQ8_0:
      return LinearFormat::kQ8_0;
    case TensorType::kQ4_0:
      return LinearFormat::kQ4_0;
    case TensorType::kQ4_1:
      return LinearFormat::kQ4_1;
    case TensorType::kQ5_0:
      return LinearFormat::kQ5_0;
    case TensorType::kQ5_1:
      return LinearFormat::kQ5_1;
    case TensorType::kQ2_K:
      return LinearFormat::kQ2_K;
    case TensorType::kQ3_K:
      return LinearFormat::kQ3_K;
    case TensorType::kQ4_K:
      return LinearFormat::kQ4_K;
    case TensorType::kQ5_K:
      return LinearFormat::kQ5_K;
    case TensorType::kQ6_K:
      return LinearFormat::kQ6_K;
    case TensorType::kIQ4_NL:
      return LinearFormat::kIQ4_NL;
    case TensorType::kIQ4_XS:
      return LinearFormat::kIQ4_XS;
    case TensorType::kMXFP4:
      return LinearFormat::kMXFP4;
    default:
      return LinearFormat::kRows;
  }
}

std::string_view name(LinearFormat format) {
  switch (format) {
#define LINEAR_KERNEL(field, Format) \
  case LinearFormat::Format:         \
    return #field;
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
  }
  return "?";
}

std::size_t MatrixShape::panel_bytes() const {
  const auto padded = [](std::size_t bytes) { return (bytes + 63) / 64 * 64; };
  switch (format) {
    case LinearFormat::kF32:
      return padded(columns * kPanelOutputs * 4);
    case LinearFormat::kF16:
      return padded(columns * kPanelOutputs * 2);
    case LinearFormat::kBF16:
    case LinearFormat::kBF16Dots:
      return padded((columns + 1) / 2 * 2 * kPanelOutputs * 2);
    case LinearFormat::kRows:
      return row_bytes(type, columns) * kPanelOutputs;
    default:
      return quantized_panel_bytes(*this);
  }
}

std::size_t MatrixShape::packed_bytes() const {
  return format == LinearFormat::kRows ? row_bytes(type, columns) * rows : panels() * panel_bytes();
}

void pack_panel(const MatrixShape& shape, const std::byte* source, std::size_t rows_left,
                std::byte* panel_data) {
  const std::size_t rows = std::min(rows_left, kPanelOutputs);
  if (rows < kPanelOutputs || shape.columns % 2 != 0) std::memset(panel_data, 0, shape.panel_bytes());
  const std::size_t tail = std::min(shape.panel_bytes(), kLargestTailBytes);  // the end may be padding
  std::memset(panel_data + shape.panel_bytes() - tail, 0, tail);
  switch (shape.format) {
    case LinearFormat::kF32:
      return pack_columns<float>(shape, source, rows, panel_data);
    case LinearFormat::kF16:
      return pack_columns<std::uint16_t>(shape, source, rows, panel_data);
    case LinearFormat::kBF16:
    case LinearFormat::kBF16Dots:
      return pack_pairs(shape, source, rows, panel_data);
    case LinearFormat::kRows:
      FOLIO_CHECK(false, "rows are copied, not packed");
    default:
      return pack_quantized(shape, source, rows, panel_data);
  }
}

void unpack_row(const PackedMatrix& matrix, std::size_t row, float* out) {
  const MatrixShape& shape = matrix.shape;
  FOLIO_CHECK(row < shape.rows, "row outside the matrix");
  if (shape.format == LinearFormat::kRows)
    return dequantize(shape.type, matrix.data + row * row_bytes(shape.type, shape.columns), out,
                      shape.columns);
  const std::byte* panel = matrix.data + row / kPanelOutputs * shape.panel_bytes();
  const std::size_t o = row % kPanelOutputs;
  switch (shape.format) {
    case LinearFormat::kF32:
      for (std::size_t k = 0; k < shape.columns; ++k)
        out[k] = read<float>(panel + (k * kPanelOutputs + o) * 4);
      return;
    case LinearFormat::kF16:
      for (std::size_t k = 0; k < shape.columns; ++k) out[k] = half_at(panel, k * kPanelOutputs + o);
      return;
    case LinearFormat::kBF16:
    case LinearFormat::kBF16Dots:
      for (std::size_t k = 0; k < shape.columns; ++k)
        out[k] = bf16_to_f32(read<std::uint16_t>(panel + ((k / 2 * kPanelOutputs + o) * 2 + k % 2) * 2));
      return;
    default:
      return unpack_quantized(shape, panel, o, out);
  }
}

}  // namespace folio::kernels
