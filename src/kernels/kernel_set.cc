#include "kernels/kernel_set.h"

#include "base/check.h"

namespace folio::kernels {
namespace {

const KernelSet kReferenceSet{Isa::kReference, kRowsReference, kLinearReference, kAttentionReference};
#if defined(__x86_64__)
const KernelSet kAvx2Set{Isa::kAvx2, kRowsAvx2, kLinearAvx2, kAttentionAvx2};
const KernelSet kAvx512Set{Isa::kAvx512, kRowsAvx512, kLinearAvx512, kAttentionAvx512};
const KernelSet kAmxSet{Isa::kAmx, kRowsAvx512, kLinearAmx, kAttentionAvx512};
#endif

}  // namespace

const KernelSet& kernel_set(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2) return kAvx2Set;
  if (isa == Isa::kAvx512) return kAvx512Set;
  if (isa == Isa::kAmx) return kAmxSet;
#endif
  FOLIO_CHECK(isa == Isa::kReference, "this instruction set was not built");
  return kReferenceSet;
}

PanelKernel panel_kernel(const LinearKernels& kernels, LinearFormat format) {
  switch (format) {
#define LINEAR_KERNEL(field, Format) \
  case LinearFormat::Format:         \
    return kernels.field;
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
  }
  FOLIO_CHECK(false, "unknown weight format");
}

const AttentionTypeKernels& type_kernels(const AttentionKernels& kernels, KvType type) {
  switch (type) {
#define ATTENTION_KERNEL(field, Type) \
  case KvType::Type:                  \
    return kernels.field;
#include "kernels/attention/kernels.inc"
#undef ATTENTION_KERNEL
  }
  FOLIO_CHECK(false, "unknown KV type");
}

}  // namespace folio::kernels
