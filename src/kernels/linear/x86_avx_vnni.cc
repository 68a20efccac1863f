// AVX2 with the dot instruction of AVX-VNNI.
#if defined(__x86_64__)
#include "kernels/simd/avx2.h"
//
#include "kernels/linear/x86_impl.h"

namespace folio::kernels {

const LinearKernels kLinearAvxVnni = {
#define LINEAR_KERNEL(field, Format) .field = field,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

}  // namespace folio::kernels
#endif
