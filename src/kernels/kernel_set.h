// Every kernel family of one instruction set, chosen once and passed by reference, so that two can be
// compared in one process.
#pragma once

#include "kernels/attention/attention_kernels.h"
#include "kernels/isa.h"
#include "kernels/linear/linear_kernels.h"
#include "kernels/rows/row_kernels.h"

namespace folio::kernels {

struct KernelSet {
  Isa isa;
  const RowKernels& rows;
  const LinearKernels& linear;
  const AttentionKernels& attention;
};

// Requires: isa is one of available_isas().
const KernelSet& kernel_set(Isa isa);

// The kernels for one weight format and for one KV type.
PanelKernel panel_kernel(const LinearKernels& kernels, LinearFormat format);
const AttentionTypeKernels& type_kernels(const AttentionKernels& kernels, KvType type);

}  // namespace folio::kernels
