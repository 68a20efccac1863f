// The types in which weights are stored in files, numbered as in the GGUF format, with their block sizes.
// A row of a matrix is a run of blocks: `elements` numbers in `bytes` bytes each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace folio::kernels {

enum class TensorType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
  kNVFP4 = 40,
};

struct TensorTypeInfo {
  TensorType type;
  std::string_view name;   // "Q4_0"
  std::uint32_t elements;  // numbers in one block
  std::uint32_t bytes;     // bytes of one block
};

// Every supported type, in the order of its id.
std::span<const TensorTypeInfo> tensor_types();

// nullptr for an id that folio does not read.
const TensorTypeInfo* find_tensor_type(std::uint32_t id);
const TensorTypeInfo* find_tensor_type(std::string_view name);
const TensorTypeInfo& info(TensorType type);

// Bytes of a row of `columns` numbers. Requires: columns is a multiple of info(type).elements.
std::size_t row_bytes(TensorType type, std::size_t columns);

}  // namespace folio::kernels
