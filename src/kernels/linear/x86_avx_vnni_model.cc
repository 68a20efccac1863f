// x86_avx_vnni.cc, compiled for AVX-512: the same instructions in the encoding that its machines have.
#if defined(__x86_64__)
#include "kernels/simd/avx2.h"
//
#include "kernels/linear/x86_impl.h"

namespace folio::kernels {

const LinearKernels kLinearAvxVnniModel = {
#define LINEAR_KERNEL(field, Format) .field = field,
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
};

}  // namespace folio::kernels
#endif
