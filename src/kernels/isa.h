// The instruction sets for which kernels exist, and the choice among them.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace folio::kernels {

// In ascending order of speed. kReference is plain C++: the specification and the fallback of every machine.
// kAvx512 means F, BW, DQ, VL and VNNI; kAmx means these and the int8 tiles. Both take BF16 where it is.
enum class Isa { kReference, kAvx2, kAvx512, kAmx };

std::string_view name(Isa isa);  // "reference", "avx2", "avx512", "amx"

// Those compiled into this program, and those of them that this machine executes; ascending.
std::span<const Isa> built_isas();
std::span<const Isa> available_isas();

// The value of FOLIO_ISA if that variable is set, else the fastest available.
// Errors: an unknown name, or one that this machine lacks; the message lists what is available.
[[nodiscard]] Result<Isa> choose_isa();
[[nodiscard]] Result<Isa> choose_isa(
    std::string_view forced);  // the same for a given name; "" means not forced

}  // namespace folio::kernels
