// What plain C++ reaches: the fallback's own limits, and the specification of what a probe returns.
#include "kernels/probe/probe_kernels.h"
#include "platform/cpu.h"

namespace folio::kernels {
namespace {

constexpr std::size_t kChains = 8;
constexpr std::size_t kLanesPerChain = 4;

std::uint64_t read(const std::byte* data, std::size_t bytes) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(data);
  std::uint64_t sums[kChains] = {};
  for (std::size_t i = 0; i < bytes / sizeof(std::uint64_t); i += kChains)
    for (std::size_t chain = 0; chain < kChains; ++chain) sums[chain] += words[i + chain];
  std::uint64_t total = 0;
  for (std::uint64_t sum : sums) total += sum;
  return total;
}

// One in a register, which the compiler must not know to be one.
template <typename T>
T one() {
  T value = 1;
  asm volatile("" : "+r"(value));
  return value;
}

std::uint64_t int8(std::size_t rounds) {
  const auto a = one<std::int8_t>();
  auto b = one<std::int8_t>();
  std::int32_t sums[kChains][kLanesPerChain] = {};
  for (std::size_t round = 0; round < rounds; ++round) {
    asm volatile("" : "+r"(b));  // a product of two constants would be computed once
    for (auto& chain : sums)
      for (std::int32_t& sum : chain) sum += a * b;
  }
  std::uint64_t total = 0;
  for (const auto& chain : sums)
    for (std::int32_t sum : chain) total += static_cast<std::uint32_t>(sum);
  return total;
}

std::uint64_t f32(std::size_t rounds) {
  const auto a = static_cast<float>(one<int>());
  auto b = static_cast<float>(one<int>());
  float sums[kChains][kLanesPerChain] = {};
  for (std::size_t round = 0; round < rounds; ++round) {
    asm volatile("" : "+m"(b));
    for (auto& chain : sums)
      for (float& sum : chain) sum += a * b;
  }
  std::uint64_t total = 0;
  for (const auto& chain : sums)
    for (float sum : chain) total += static_cast<std::uint64_t>(sum);
  return total;
}

constexpr std::size_t kOperations = 2 * kChains * kLanesPerChain;

}  // namespace

const ProbeKernels kProbeReference = {
    .read = read, .int8 = {int8, kOperations}, .f32 = {f32, kOperations}, .bf16 = {}};

const TileProbes* tile_probes(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAmx) return &kTileProbes;
#endif
  static_cast<void>(isa);
  return nullptr;
}

#if defined(__x86_64__)
namespace {
// With what AVX2 machines may have or not.
const ProbeKernels& avx2_probes() {
  static const ProbeKernels probes = [] {
    ProbeKernels kernels = kProbeAvx2;
    if (platform::cpu_features().avx_vnni) kernels.int8 = kInt8ProbeAvxVnni;
    return kernels;
  }();
  return probes;
}
}  // namespace
#endif

const ProbeKernels& probe_kernels(Isa isa) {
#if defined(__x86_64__)
  if (isa > Isa::kAvx2) return kProbeAvx512;  // whatever comes after it includes it
  if (isa == Isa::kAvx2) return avx2_probes();
#endif
  static_cast<void>(isa);
  return kProbeReference;
}

}  // namespace folio::kernels
