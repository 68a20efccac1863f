#if defined(__x86_64__)
#include "kernels/simd/avx512.h"
//
#include "kernels/attention/x86_impl.h"

namespace folio::kernels {

const AttentionKernels kAttentionAvx512 = {
    .f32 = {.attend = attend<F32>, .store_key = store_key_f32, .store_value = store_value_f32},
    .f16 = {.attend = attend<F16>, .store_key = store_key_f16, .store_value = store_value_f16},
    .bf16 = {.attend = attend<BF16>, .store_key = store_key_bf16, .store_value = store_value_bf16},
    .merge = merge,
    .finish = finish};

}  // namespace folio::kernels
#endif
