// The probes on AVX2: sixteen registers, of which eight or twelve hold accumulators. All loops over them are
// unrolled, or else they would live in memory.
#include <immintrin.h>

#include "kernels/probe/probe_kernels.h"
#include "kernels/probe/x86_int8_chains.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kChains = 12;
constexpr std::size_t kInt8Chains = 8;  // the steps between need registers too

std::uint64_t read(const std::byte* data, std::size_t bytes) {
  __m256i sums[8];
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  const auto* at = reinterpret_cast<const __m256i*>(data);
  for (std::size_t i = 0; i < bytes / sizeof(__m256i); i += 8) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < 8; ++j) sums[j] = _mm256_add_epi64(sums[j], _mm256_load_si256(at + i + j));
  }
  std::uint64_t total = 0;
#pragma GCC unroll 12
  for (const auto& sum : sums) {
    std::uint64_t lanes[4];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sum);
    for (std::uint64_t lane : lanes) total += lane;
  }
  return total;
}

std::uint64_t int8(std::size_t rounds) {
  __m256i ones = _mm256_set1_epi16(1);
  asm volatile("" : "+x"(ones));
  return count_int8<kInt8Chains>(rounds, [&](__m256i sum, __m256i a, __m256i b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
  });
}

std::uint64_t f32(std::size_t rounds) {
  __m256 sums[kChains], a = _mm256_set1_ps(1), b = _mm256_set1_ps(1);
  asm volatile("" : "+x"(a), "+x"(b));
  for (auto& sum : sums) sum = _mm256_setzero_ps();
  for (std::size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm256_fmadd_ps(a, b, sum);
  }
  std::uint64_t total = 0;
#pragma GCC unroll 12
  for (const auto& sum : sums) {
    float lanes[8];
    _mm256_storeu_ps(lanes, sum);
    for (float lane : lanes) total += static_cast<std::uint64_t>(lane);
  }
  return total;
}

}  // namespace

const ProbeKernels kProbeAvx2 = {
    .read = read, .int8 = {int8, 2 * 32 * kInt8Chains}, .f32 = {f32, 2 * 8 * kChains}, .bf16 = {}};

}  // namespace folio::kernels
