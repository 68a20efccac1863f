#include "kernels/quant/dequantize.h"

#include <cstdint>

#include "base/check.h"
#include "kernels/quant/formats.h"

namespace folio::kernels {
namespace {

quant::Decode decoder(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return quant::decode_f32;
    case TensorType::kF16:
      return quant::decode_f16;
    case TensorType::kBF16:
      return quant::decode_bf16;
    case TensorType::kQ4_0:
      return quant::decode_q4_0;
    case TensorType::kQ4_1:
      return quant::decode_q4_1;
    case TensorType::kQ5_0:
      return quant::decode_q5_0;
    case TensorType::kQ5_1:
      return quant::decode_q5_1;
    case TensorType::kQ8_0:
      return quant::decode_q8_0;
    case TensorType::kQ2_K:
      return quant::decode_q2_k;
    case TensorType::kQ3_K:
      return quant::decode_q3_k;
    case TensorType::kQ4_K:
      return quant::decode_q4_k;
    case TensorType::kQ5_K:
      return quant::decode_q5_k;
    case TensorType::kQ6_K:
      return quant::decode_q6_k;
    case TensorType::kIQ1_S:
      return quant::decode_iq1_s;
    case TensorType::kIQ1_M:
      return quant::decode_iq1_m;
    case TensorType::kIQ2_XXS:
      return quant::decode_iq2_xxs;
    case TensorType::kIQ2_XS:
      return quant::decode_iq2_xs;
    case TensorType::kIQ2_S:
      return quant::decode_iq2_s;
    case TensorType::kIQ3_XXS:
      return quant::decode_iq3_xxs;
    case TensorType::kIQ3_S:
      return quant::decode_iq3_s;
    case TensorType::kIQ4_NL:
      return quant::decode_iq4_nl;
    case TensorType::kIQ4_XS:
      return quant::decode_iq4_xs;
    case TensorType::kTQ1_0:
      return quant::decode_tq1_0;
    case TensorType::kTQ2_0:
      return quant::decode_tq2_0;
    case TensorType::kMXFP4:
      return quant::decode_mxfp4;
    case TensorType::kNVFP4:
      return quant::decode_nvfp4;
  }
  return nullptr;
}

}  // namespace

void dequantize(TensorType type, const std::byte* blocks, float* out, std::size_t n) {
  const std::size_t elements = info(type).elements;
  FOLIO_CHECK(n % elements == 0, "dequantize works on whole blocks");
  decoder(type)(reinterpret_cast<const std::uint8_t*>(blocks), out, n / elements);
}

}  // namespace folio::kernels
