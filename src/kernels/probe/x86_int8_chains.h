// The int8 probe of 256-bit registers, whatever adds up a dot in them: for x86_avx2.cc and x86_avx_vnni.cc.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace folio::kernels {
namespace {

// The multiply-adds of `rounds` rounds of one add_dot(sum, a, b) for each chain. All loops over the sums are
// unrolled, or else they would live in memory.
template <std::size_t chains, typename AddDot>
[[gnu::always_inline]] inline std::uint64_t count_int8(std::size_t rounds, AddDot add_dot) {
  static_assert(chains <= 12, "the unrolling below");
  __m256i sums[chains], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(1);
  asm volatile("" : "+x"(b));
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  for (std::size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (auto& sum : sums) {
      asm("" : "+x"(a));  // the same factor, but not known to be: each product is computed
      sum = add_dot(sum, a, b);
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
}  // namespace folio::kernels
