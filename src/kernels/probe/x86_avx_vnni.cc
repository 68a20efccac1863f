// The int8 probe of AVX-VNNI: x86_avx2.cc's with one instruction for its three.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/probe/probe_kernels.h"
#include "kernels/probe/x86_int8_chains.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kChains = 12;

std::uint64_t int8(std::size_t rounds) {
  return count_int8<kChains>(
      rounds, [](__m256i sum, __m256i a, __m256i b) { return _mm256_dpbusd_avx_epi32(sum, a, b); });
}

}  // namespace

constinit const ComputeProbe kInt8ProbeAvxVnni = {int8, 2 * 32 * kChains};

}  // namespace folio::kernels
#endif
