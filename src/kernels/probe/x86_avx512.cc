// The probes on AVX-512: 32 registers, of which sixteen hold accumulators. All loops over them are
// unrolled, or else they would live in memory.
#include <immintrin.h>

#include "kernels/probe/probe_kernels.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kChains = 16;

std::uint64_t read(const std::byte* data, std::size_t bytes) {
  __m512i sums[8];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  const auto* at = reinterpret_cast<const __m512i*>(data);
  for (std::size_t i = 0; i < bytes / sizeof(__m512i); i += 8) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < 8; ++j) sums[j] = _mm512_add_epi64(sums[j], _mm512_load_si512(at + i + j));
  }
  std::uint64_t total = 0;
#pragma GCC unroll 16
  for (const auto& sum : sums) {
    std::uint64_t lanes[8];
    _mm512_storeu_si512(lanes, sum);
    for (std::uint64_t lane : lanes) total += lane;
  }
  return total;
}

std::uint64_t int8(std::size_t rounds) {
  __m512i sums[kChains];
  __m512i a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(1);
  asm volatile("" : "+v"(a), "+v"(b));
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  for (std::size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
  }
  std::uint64_t total = 0;
#pragma GCC unroll 16
  for (const auto& sum : sums) {
    std::uint32_t lanes[16];
    _mm512_storeu_si512(lanes, sum);
    for (std::uint32_t lane : lanes) total += lane;
  }
  return total;
}

[[gnu::always_inline]] inline std::uint64_t sum_of_lanes(const __m512* sums) {
  std::uint64_t total = 0;
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kChains; ++i) {
    float lanes[16];
    _mm512_storeu_ps(lanes, sums[i]);
    for (float lane : lanes) total += static_cast<std::uint64_t>(lane);
  }
  return total;
}

std::uint64_t f32(std::size_t rounds) {
  __m512 sums[kChains], a = _mm512_set1_ps(1), b = _mm512_set1_ps(1);
  asm volatile("" : "+v"(a), "+v"(b));
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  for (std::size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (auto& sum : sums) sum = _mm512_fmadd_ps(a, b, sum);
  }
  return sum_of_lanes(sums);
}

// Spelled as assembly: the file is compiled for every AVX-512 machine, and only those that have the
// instruction come here.
[[gnu::always_inline]] inline __m512 add_dot(__m512 sum, __m512i pairs) {
  asm("vdpbf16ps %1, %1, %0" : "+v"(sum) : "v"(pairs));
  return sum;
}

std::uint64_t bf16(std::size_t rounds) {
  __m512 sums[kChains];
  const __m512i ones = _mm512_set1_epi16(0x3f80);  // 1 as bfloat16
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  for (std::size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (auto& sum : sums) sum = add_dot(sum, ones);
  }
  return sum_of_lanes(sums);
}

}  // namespace

const ProbeKernels kProbeAvx512 = {.read = read,
                                   .int8 = {int8, 2 * 64 * kChains},
                                   .f32 = {f32, 2 * 16 * kChains},
                                   .bf16 = {bf16, 2 * 32 * kChains}};

}  // namespace folio::kernels
