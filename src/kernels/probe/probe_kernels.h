// Small loops that find the machine's limits: how fast it reads, and how many operations of a kind it does.
// They hold nothing but what they measure: independent accumulators in registers, more of them than latency
// times throughput of any processor in use asks for.
//
//   read  adds up the 64-bit words of [data, data + bytes), modulo 2^64, so that every byte passes a
//         register.
//   int8  dot products of int8 in the way of this instruction set that takes any values: VPDPBUSD under
//         AVX-512 and AVX-VNNI; pairs to 16 bits, then to 32 under AVX2. (Codes of 4 bits may be added up
//         longer in 16 bits there, and so pass this limit.)
//   f32   fused multiply-adds.
//   bf16  dot products of bfloat16 pairs added to f32 (VDPBF16PS); absent where the table has none. Requires:
//         the processor has the instruction (CpuFeatures::avx512_bf16), which the table's instruction set
//         alone does not say.
//
// And of the tile registers, products of full tiles, 16 x 64 bytes by 16 x 64 bytes to 16 x 16 sums:
//
//   int8  TDPBSSD.
//   bf16  TDPBF16PS. Requires: CpuFeatures::amx_bf16.
//
// All factors of a compute probe are 1, so the sum of its accumulators is the number of multiply-adds that it
// did: a probe cannot claim more than it does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"

namespace folio::kernels {

inline constexpr std::size_t kReadProbeUnit = 1024;  // bytes

struct ComputeProbe {
  // Does `rounds` rounds and returns the multiply-adds in them: exact up to kExactProbeRounds.
  std::uint64_t (*run)(std::size_t rounds) = nullptr;  // nullptr: this instruction set has no such operation
  std::size_t operations = 0;                          // of one round; a multiply-add is two
};

// Beyond it an f32 accumulator no longer counts by one (2^24), though it does the work.
inline constexpr std::size_t kExactProbeRounds = std::size_t{1} << 20;

struct ProbeKernels {
  // Requires: data is 64-byte aligned and bytes a multiple of kReadProbeUnit.
  std::uint64_t (*read)(const std::byte* data, std::size_t bytes);
#define COMPUTE_PROBE(field) ComputeProbe field;
#include "kernels/probe/kernels.inc"
#undef COMPUTE_PROBE
};

extern const ProbeKernels kProbeReference;
#if defined(__x86_64__)
extern const ProbeKernels kProbeAvx2;
extern const ComputeProbe kInt8ProbeAvxVnni;  // for a processor with CpuFeatures::avx_vnni
extern const ProbeKernels kProbeAvx512;
#endif

struct TileProbes {
  ComputeProbe int8, bf16;
};

#if defined(__x86_64__)
extern const TileProbes kTileProbes;       // Requires: AMX, which CpuFeatures says the system has granted
extern const TileProbes kTileProbesModel;  // on the model of the tile registers, for tests
#endif

// nullptr: this instruction set has no tiles. Requires: isa is one of available_isas().
const TileProbes* tile_probes(Isa isa);

// Requires: isa is one of available_isas().
const ProbeKernels& probe_kernels(Isa isa);

}  // namespace folio::kernels
