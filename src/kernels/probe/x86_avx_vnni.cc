// The int8 probe of AVX-VNNI: x86_avx2.cc's with one instruction for its three.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/probe/probe_kernels.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kChains = 12;

std::uint64_t int8(std::size_t rounds) {
  __m256i sums[kChains], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(1);
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  for (std::size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (auto& sum : sums) {
      asm("" : "+x"(a));  // not known to be the same factor: each product is computed
      sum = _mm256_dpbusd_avx_epi32(sum, a, b);
    }
  }
  std::uint64_t total = 0;
#pragma GCC unroll 12
  for (const auto& sum : sums) {
    std::uint32_t lanes[8];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sum);
    for (std::uint32_t lane : lanes) total += lane;
  }
  return total;
}

}  // namespace

constinit const ComputeProbe kInt8ProbeAvxVnni = {int8, 2 * 32 * kChains};

}  // namespace folio::kernels
#endif
