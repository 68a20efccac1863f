#include "kernels/tensor_type.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace folio::kernels {
namespace {

using enum TensorType;

constexpr std::array kTypes = {
    TensorTypeInfo{kF32, "F32", 1, 4},
    TensorTypeInfo{kF16, "F16", 1, 2},
    TensorTypeInfo{kQ4_0, "Q4_0", 32, 18},
    TensorTypeInfo{kQ4_1, "Q4_1", 32, 20},
    TensorTypeInfo{kQ5_0, "Q5_0", 32, 22},
    TensorTypeInfo{kQ5_1, "Q5_1", 32, 24},
    TensorTypeInfo{kQ8_0, "Q8_0", 32, 34},
    TensorTypeInfo{kQ2_K, "Q2_K", 256, 84},
    TensorTypeInfo{kQ3_K, "Q3_K", 256, 110},
    TensorTypeInfo{kQ4_K, "Q4_K", 256, 144},
    TensorTypeInfo{kQ5_K, "Q5_K", 256, 176},
    TensorTypeInfo{kQ6_K, "Q6_K", 256, 210},
    TensorTypeInfo{kIQ2_XXS, "IQ2_XXS", 256, 66},
    TensorTypeInfo{kIQ2_XS, "IQ2_XS", 256, 74},
    TensorTypeInfo{kIQ3_XXS, "IQ3_XXS", 256, 98},
    TensorTypeInfo{kIQ1_S, "IQ1_S", 256, 50},
    TensorTypeInfo{kIQ4_NL, "IQ4_NL", 32, 18},
    TensorTypeInfo{kIQ3_S, "IQ3_S", 256, 110},
    TensorTypeInfo{kIQ2_S, "IQ2_S", 256, 82},
    TensorTypeInfo{kIQ4_XS, "IQ4_XS", 256, 136},
    TensorTypeInfo{kIQ1_M, "IQ1_M", 256, 56},
    TensorTypeInfo{kBF16, "BF16", 1, 2},
    TensorTypeInfo{kTQ1_0, "TQ1_0", 256, 54},
    TensorTypeInfo{kTQ2_0, "TQ2_0", 256, 66},
    TensorTypeInfo{kMXFP4, "MXFP4", 32, 17},
    TensorTypeInfo{kNVFP4, "NVFP4", 64, 36},
};

static_assert(std::ranges::is_sorted(kTypes, {}, &TensorTypeInfo::type));

}  // namespace

std::span<const TensorTypeInfo> tensor_types() { return kTypes; }

const TensorTypeInfo* find_tensor_type(std::uint32_t id) {
  const auto found = std::ranges::lower_bound(kTypes, static_cast<TensorType>(id), {}, &TensorTypeInfo::type);
  return found != kTypes.end() && static_cast<std::uint32_t>(found->type) == id ? found : nullptr;
}

const TensorTypeInfo* find_tensor_type(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name, &TensorTypeInfo::name);
  return found != kTypes.end() ? found : nullptr;
}

const TensorTypeInfo& info(TensorType type) {
  const TensorTypeInfo* found = find_tensor_type(static_cast<std::uint32_t>(type));
  FOLIO_CHECK(found != nullptr, "a TensorType outside the enum");
  return *found;
}

std::size_t row_bytes(TensorType type, std::size_t columns) {
  const TensorTypeInfo& format = info(type);
  FOLIO_DCHECK(columns % format.elements == 0, "columns are whole blocks");
  return columns / format.elements * format.bytes;
}

}  // namespace folio::kernels
