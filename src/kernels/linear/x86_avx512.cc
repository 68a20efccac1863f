#if defined(__x86_64__)
#include "kernels/simd/avx512.h"
//
#include "kernels/linear/x86_impl.h"

namespace folio::kernels {

const LinearKernels kLinearAvx512 = {
#define LINEAR_KERNEL(field, Format) .field = field,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

}  // namespace folio::kernels
#endif
