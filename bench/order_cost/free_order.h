// Panel kernels for Q4_0 that are bound to no order of additions: each for the number of rows that it suits.
// They are what batch invariance is held against: a server that did not promise the same bits for every batch
// could choose among them by shape.
#pragma once

#include <span>

#include "kernels/linear/linear_kernels.h"

namespace folio::order_cost {

struct Variant {
  const char* name;          // "8 rows, 2 sums, 2 dots"
  kernels::PanelKernel run;  // the contract of LinearKernels::q4_0, but for the order of additions
};

// Requires: the processor has AVX-512 VNNI.
std::span<const Variant> free_order_variants();

}  // namespace folio::order_cost
