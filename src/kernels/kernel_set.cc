#include "kernels/kernel_set.h"

#include "base/check.h"
#include "platform/cpu.h"

namespace folio::kernels {
namespace {

#if defined(__x86_64__)
// What AVX-512 machines may have or not.
LinearKernels with_options(LinearKernels kernels) {
  if (platform::cpu_features().avx512_bf16) kernels.bf16_dots = kBf16DotsAvx512Bf16;
  return kernels;
}
#endif

const KernelSet kReferenceSet{Isa::kReference, kRowsReference, kLinearReference, kAttentionReference};
#if defined(__x86_64__)
const KernelSet& avx2_set() {
  const bool vnni = platform::cpu_features().avx_vnni;
  static const KernelSet set{Isa::kAvx2, kRowsAvx2, vnni ? kLinearAvxVnni : kLinearAvx2, kAttentionAvx2};
  return set;
}
const KernelSet& avx512_set() {
  static const LinearKernels linear = with_options(kLinearAvx512);
  static const KernelSet set{Isa::kAvx512, kRowsAvx512, linear, kAttentionAvx512};
  return set;
}
const KernelSet& amx_set() {
  static const LinearKernels linear = with_options(kLinearAmx);
  static const KernelSet set{Isa::kAmx, kRowsAvx512, linear, kAttentionAvx512};
  return set;
}
#endif

}  // namespace

const KernelSet& kernel_set(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx2) return avx2_set();
  if (isa == Isa::kAvx512) return avx512_set();
  if (isa == Isa::kAmx) return amx_set();
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
