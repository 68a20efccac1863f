#if defined(__x86_64__)
#include "kernels/simd/avx512.h"
//
#include "kernels/rows/x86_impl.h"

namespace folio::kernels {

const RowKernels kRowsAvx512 = {
#define ROW_KERNEL(name, parameters) .name = name,
#include "kernels/rows/kernels.inc"
#undef ROW_KERNEL
};

}  // namespace folio::kernels
#endif
