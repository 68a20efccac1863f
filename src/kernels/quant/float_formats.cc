// F32, F16, BF16: no blocks, one number after the other.
#include <cstring>

#include "kernels/quant/formats.h"
#include "kernels/quant/half.h"

namespace folio::kernels::quant {

void decode_f32(Bytes blocks, float* out, std::size_t count) {
  if (count != 0) std::memcpy(out, blocks, count * sizeof(float));
}

void decode_f16(Bytes blocks, float* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = load_f16(blocks + 2 * i);
}

void decode_bf16(Bytes blocks, float* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = bf16_to_f32(load_u16(blocks + 2 * i));
}

}  // namespace folio::kernels::quant
