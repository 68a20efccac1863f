#include "kernels/linear/packed_matrix.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "kernels/quant/dequantize.h"
#include "kernels/quant/half.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kGroup = 32;
constexpr std::size_t kLargestUnitBytes = 64 + 2 * 512;

template <typename T>
T read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// The three quantised formats share one shape: a file block is a header of halves (scale, minimum) and then
// codes whose order within the group is that of the panel, four bytes at a time.
struct BlockLayout {
  std::size_t block_bytes;  // in the file
  std::size_t halves;       // 1: scale; 2: scale and minimum
  std::size_t code_bytes;   // per group and output

  std::size_t unit_groups() const { return 2 / halves; }
  std::size_t unit_bytes() const { return 64 + unit_groups() * code_bytes * kPanelOutputs; }
  // Offsets within a panel: half `h` of output `o`, and its first four codes, of group `g` (PanelUnits says
  // the same).
  std::size_t half_at(std::size_t g, std::size_t h, std::size_t o) const {
    return g / unit_groups() * unit_bytes() + ((g % unit_groups() + h) * kPanelOutputs + o) * 2;
  }
  std::size_t codes_at(std::size_t g, std::size_t o) const {
    return g / unit_groups() * unit_bytes() + 64 + g % unit_groups() * code_bytes * kPanelOutputs + o * 4;
  }
};

BlockLayout block_layout(LinearFormat format) {
  switch (format) {
    case LinearFormat::kQ8_0:
      return {.block_bytes = 34, .halves = 1, .code_bytes = 32};
    case LinearFormat::kQ4_0:
      return {.block_bytes = 18, .halves = 1, .code_bytes = 16};
    default:
      return {.block_bytes = 20, .halves = 2, .code_bytes = 16};
  }
}

void pack_blocks(const MatrixShape& shape, const std::byte* source, std::size_t rows, std::byte* panel) {
  const BlockLayout layout = block_layout(shape.format);
  const std::size_t groups = shape.columns / kGroup;
  for (std::size_t o = 0; o < rows; ++o) {
    const std::byte* block = source + o * groups * layout.block_bytes;
    for (std::size_t g = 0; g < groups; ++g, block += layout.block_bytes) {
      for (std::size_t h = 0; h < layout.halves; ++h)
        std::memcpy(panel + layout.half_at(g, h, o), block + h * 2, 2);
      const std::byte* codes = block + layout.halves * 2;
      std::byte* out = panel + layout.codes_at(g, o);
      for (std::size_t i = 0; i < layout.code_bytes; i += 4)
        std::memcpy(out + i * kPanelOutputs, codes + i, 4);
    }
  }
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

void unpack_blocks(const MatrixShape& shape, const std::byte* panel, std::size_t o, float* out) {
  const BlockLayout layout = block_layout(shape.format);
  for (std::size_t g = 0; g < shape.columns / kGroup; ++g) {
    // The block as the file has it, so that one routine per type says what its bits mean.
    std::array<std::byte, 34> block;
    for (std::size_t h = 0; h < layout.halves; ++h)
      std::memcpy(block.data() + h * 2, panel + layout.half_at(g, h, o), 2);
    const std::byte* codes = panel + layout.codes_at(g, o);
    for (std::size_t i = 0; i < layout.code_bytes; i += 4)
      std::memcpy(block.data() + layout.halves * 2 + i, codes + i * kPanelOutputs, 4);
    dequantize(shape.type, block.data(), out + g * kGroup, kGroup);
  }
}

}  // namespace

LinearFormat linear_format(TensorType type, Arithmetic arithmetic) {
  switch (type) {
    case TensorType::kF32:
      return LinearFormat::kF32;
    case TensorType::kF16:
      return LinearFormat::kF16;
    case TensorType::kBF16:
      return LinearFormat::kBF16;
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
      return padded((columns + 1) / 2 * 2 * kPanelOutputs * 2);
    case LinearFormat::kRows:
      return row_bytes(type, columns) * kPanelOutputs;
    default:
      break;
  }
  const BlockLayout layout = block_layout(format);
  return (columns / kGroup + layout.unit_groups() - 1) / layout.unit_groups() * layout.unit_bytes();
}

std::size_t MatrixShape::packed_bytes() const {
  return format == LinearFormat::kRows ? row_bytes(type, columns) * rows : panels() * panel_bytes();
}

void pack_panel(const MatrixShape& shape, const std::byte* source, std::size_t rows_left,
                std::byte* panel_data) {
  const std::size_t rows = std::min(rows_left, kPanelOutputs);
  if (rows < kPanelOutputs || shape.columns % 2 != 0) std::memset(panel_data, 0, shape.panel_bytes());
  const std::size_t tail = std::min(shape.panel_bytes(), kLargestUnitBytes);  // the end may be padding
  std::memset(panel_data + shape.panel_bytes() - tail, 0, tail);
  switch (shape.format) {
    case LinearFormat::kF32:
      return pack_columns<float>(shape, source, rows, panel_data);
    case LinearFormat::kF16:
      return pack_columns<std::uint16_t>(shape, source, rows, panel_data);
    case LinearFormat::kBF16:
      return pack_pairs(shape, source, rows, panel_data);
    case LinearFormat::kRows:
      FOLIO_CHECK(false, "rows are copied, not packed");
    default:
      return pack_blocks(shape, source, rows, panel_data);
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
      for (std::size_t k = 0; k < shape.columns; ++k)
        out[k] = bf16_to_f32(read<std::uint16_t>(panel + ((k / 2 * kPanelOutputs + o) * 2 + k % 2) * 2));
      return;
    default:
      return unpack_blocks(shape, panel, o, out);
  }
}

}  // namespace folio::kernels
