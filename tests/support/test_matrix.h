// Random weight matrices of every stored type, packed; and activations for them in all forms.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/linear/block_parts.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/packed_matrix.h"
#include "kernels/quant/dequantize.h"
#include "kernels/quant/half.h"
#include "support/kernel_inputs.h"

namespace folio::test {

enum class Weights {
  kNormal,    // as in a model; block types: random codes with plausible scales
  kAnyBytes,  // any bits that mean numbers of magnitude up to 2^12: denormals, zero scales, extreme codes
};

// A stored type that the format is the layout of. A switch without a default: a new format must be named
// here.
inline kernels::TensorType stored_type(kernels::LinearFormat format) {
  using enum kernels::LinearFormat;
  switch (format) {
    case kF32:
      return kernels::TensorType::kF32;
    case kF16:
      return kernels::TensorType::kF16;
    case kBF16:
    case kBF16Dots:
      return kernels::TensorType::kBF16;
    case kQ8_0:
      return kernels::TensorType::kQ8_0;
    case kQ4_0:
      return kernels::TensorType::kQ4_0;
    case kQ4_1:
      return kernels::TensorType::kQ4_1;
    case kQ5_0:
      return kernels::TensorType::kQ5_0;
    case kQ5_1:
      return kernels::TensorType::kQ5_1;
    case kQ2_K:
      return kernels::TensorType::kQ2_K;
    case kQ3_K:
      return kernels::TensorType::kQ3_K;
    case kQ4_K:
      return kernels::TensorType::kQ4_K;
    case kQ5_K:
      return kernels::TensorType::kQ5_K;
    case kQ6_K:
      return kernels::TensorType::kQ6_K;
    case kIQ4_NL:
      return kernels::TensorType::kIQ4_NL;
    case kIQ4_XS:
      return kernels::TensorType::kIQ4_XS;
    case kMXFP4:
      return kernels::TensorType::kMXFP4;
    case kRows:
      return kernels::TensorType::kNVFP4;
  }
  FOLIO_CHECK(false, "a format without a stored type");
}

// An arithmetic under which the format is the layout of that type: the most exact one.
inline kernels::Arithmetic arithmetic_of(kernels::LinearFormat format) {
  return kernels::takes_bfloats(format) ? kernels::Arithmetic::kMixed : kernels::Arithmetic::kInt16;
}

inline constexpr kernels::LinearFormat kAllFormats[] = {
#define LINEAR_KERNEL(field, Format) kernels::LinearFormat::Format,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

// The least multiple of the format's stored block that is at least `columns`.
inline std::size_t whole_blocks(kernels::TensorType type, std::size_t columns) {
  const std::size_t elements = kernels::info(type).elements;
  return (columns + elements - 1) / elements * elements;
}

// The columns that share a scale, for the quantised types with a panel layout.
inline std::size_t group_columns(kernels::TensorType type) {
  using enum kernels::TensorType;
  return type == kQ2_K || type == kQ3_K || type == kQ6_K ? 16 : 32;
}

// One stored block whose numbers are all at most `limit` in magnitude, by trial.
inline void random_block(kernels::TensorType type, Weights kind, Random& random, std::byte* block) {
  const kernels::TensorTypeInfo& info = kernels::info(type);
  const float limit = kind == Weights::kNormal ? 64.0f : 4096.0f;
  std::vector<float> values(info.elements);
  bool fits;
  do {
    for (std::size_t i = 0; i < info.bytes; ++i) block[i] = static_cast<std::byte>(random.bits() >> 56);
    kernels::dequantize(type, block, values.data(), values.size());
    fits = std::ranges::all_of(values, [&](float v) { return std::abs(v) <= limit; });  // false for NaN
  } while (!fits);
}

inline std::vector<std::byte> random_weights(kernels::TensorType type, std::size_t count, Weights kind,
                                             Random& random) {
  const kernels::TensorTypeInfo& info = kernels::info(type);
  std::vector<std::byte> bytes(count / info.elements * info.bytes);
  for (std::size_t i = 0; i < count / info.elements; ++i) {
    std::byte* block = bytes.data() + i * info.bytes;
    if (info.elements > 1 || kind == Weights::kAnyBytes) {
      random_block(type, kind, random, block);
      continue;
    }
    const float x = random.normal();
    const std::uint16_t half =
        type == kernels::TensorType::kF16 ? kernels::f32_to_f16(x) : kernels::f32_to_bf16(x);
    std::memcpy(block, info.bytes == 4 ? static_cast<const void*>(&x) : &half, info.bytes);
  }
  return bytes;
}

// A matrix as a file has it and as the kernels read it. Exact allocations, so that a read past the end is
// seen.
class TestMatrix {
 public:
  TestMatrix(kernels::MatrixShape shape, Weights kind, Random& random)
      : stored_(random_weights(shape.type, shape.rows * shape.columns, kind, random)),
        packed_(shape.packed_bytes(), std::byte{0xa5}) {
    matrix_ = {.shape = shape, .data = packed_.data()};
    if (shape.format == kernels::LinearFormat::kRows) {
      packed_ = stored_;
      matrix_.data = packed_.data();
      return;
    }
    for (std::size_t panel = 0; panel < shape.panels(); ++panel)
      kernels::pack_panel(shape, stored_row(panel * kernels::kPanelOutputs),
                          shape.rows - panel * kernels::kPanelOutputs,
                          packed_.data() + panel * shape.panel_bytes());
  }
  TestMatrix(const TestMatrix&) = delete;
  TestMatrix& operator=(const TestMatrix&) = delete;

  const kernels::PackedMatrix& packed() const { return matrix_; }
  const kernels::MatrixShape& shape() const { return matrix_.shape; }
  const std::byte* stored_row(std::size_t row) const {
    return stored_.data() + row * kernels::row_bytes(shape().type, shape().columns);
  }
  std::vector<float> dequantized_row(std::size_t row) const {
    std::vector<float> out(shape().columns);
    kernels::dequantize(shape().type, stored_row(row), out.data(), out.size());
    return out;
  }

  // What is added to every scaled code of group `group` of stored row `row`: minus the minimum, or zero.
  double added_to_group(std::size_t row, std::size_t group) const {
    using enum kernels::TensorType;
    const kernels::TensorTypeInfo& type = kernels::info(shape().type);
    const std::size_t groups = type.elements / group_columns(type.type), i = group % groups;
    kernels::BlockParts parts;
    kernels::block_splitter(type.type)(
        reinterpret_cast<const std::uint8_t*>(stored_row(row) + group / groups * type.bytes), parts);
    const double half = kernels::f16_to_f32(parts.halves[1]);
    if (type.type == kQ4_1 || type.type == kQ5_1) return half;
    if (type.type == kQ4_K || type.type == kQ5_K) return -half * parts.bytes[i][1];
    if (type.type == kQ2_K) return -half * (parts.bytes[i][0] >> 4);
    return 0;
  }

 private:
  std::vector<std::byte> stored_, packed_;
  kernels::PackedMatrix matrix_;
};

// Rows of activations as floats, as bfloat16 and as the codes of an arithmetic. The floats' and bfloats' rows
// are further apart than they are long.
class TestActivations {
 public:
  TestActivations(std::size_t rows, std::size_t columns, Values kind, Random& random,
                  kernels::Arithmetic arithmetic = kernels::Arithmetic::kInt16)
      : columns_(columns),
        stride_(columns + 3),
        groups_(kernels::activation_groups(columns)),
        values_(rows * stride_, std::nanf("")),
        codes_(rows * kernels::kCodePlanes * groups_ * 32, 99),  // what is not written is not to be read
        wide_(rows * groups_),
        scales_(rows * groups_),
        sums_(rows * groups_),
        half_sums_(rows * groups_ * 2),
        bfloat_stride_((columns + 1) / 2 * 2 + 6),
        bfloats_(rows * bfloat_stride_, 0x7fc0) {  // NaN
    const auto quantize = kernels::quantizer(kernels::kRowsReference, arithmetic);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t k = 0; k < columns; ++k) values_[row * stride_ + k] = value(kind, random, k);
      kernels::kRowsReference.round_bf16(values_.data() + row * stride_, columns,
                                         bfloats_.data() + row * bfloat_stride_);
      std::int8_t* codes = codes_.data() + row * kernels::kCodePlanes * groups_ * 32;
      quantize(values_.data() + row * stride_, columns,
               {.codes = codes,
                .low = codes + groups_ * 32,
                .wide = wide_.data() + row * groups_,
                .scales = scales_.data() + row * groups_,
                .sums = sums_.data() + row * groups_,
                .half_sums = half_sums_.data() + row * groups_ * 2});
    }
  }
  kernels::ActivationRows rows(std::size_t first, std::size_t count) const {
    return {.values = values_.data() + first * stride_,
            .value_stride = stride_,
            .codes = codes_.data() + first * kernels::kCodePlanes * groups_ * 32,
            .scales = scales_.data() + first * groups_,
            .sums = sums_.data() + first * groups_,
            .half_sums = half_sums_.data() + first * groups_ * 2,
            .code_stride = groups_ * 32,
            .group_stride = groups_,
            .rows = count,
            .wide = wide_.data() + first * groups_,
            .bfloats = bfloats_.data() + first * bfloat_stride_,
            .bfloat_stride = bfloat_stride_};
  }
  std::span<const float> floats(std::size_t row) const {
    return std::span(values_).subspan(row * stride_, columns_);
  }
  float rounded(std::size_t row, std::size_t k) const {
    return kernels::bf16_to_f32(bfloats_[row * bfloat_stride_ + k]);
  }
  // What the codes of value k stand for, exactly.
  double held(std::size_t row, std::size_t k) const {
    const std::int8_t* codes = codes_.data() + row * kernels::kCodePlanes * groups_ * 32 + k;
    const int low = wide_[row * groups_ + k / 32] != 0 ? codes[groups_ * 32] : 0;
    const int code = codes[0] * 256 + low;
    return static_cast<double>(scales_[row * groups_ + k / 32]) * code;
  }

 private:
  std::size_t columns_, stride_, groups_;
  std::vector<float> values_;
  std::vector<std::int8_t> codes_;
  std::vector<std::uint8_t> wide_;
  std::vector<float> scales_;
  std::vector<std::int32_t> sums_, half_sums_;
  std::size_t bfloat_stride_;
  std::vector<std::uint16_t> bfloats_;
};

}  // namespace folio::test
