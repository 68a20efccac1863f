#include "kernels/probe/probe_kernels.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/probe/machine_probe.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "support/kernel_inputs.h"

namespace folio::kernels {
namespace {

struct NamedProbe {
  const char* name;
  ComputeProbe ProbeKernels::* probe;
};
constexpr NamedProbe kComputeProbes[] = {
#define COMPUTE_PROBE(field) {#field, &ProbeKernels::field},
#include "kernels/probe/kernels.inc"
#undef COMPUTE_PROBE
};

bool runs_here(const NamedProbe& probe, const ComputeProbe& kernel) {
  if (kernel.run == nullptr) return false;
  return std::strcmp(probe.name, "bf16") != 0 || platform::cpu_features().avx512_bf16;
}

// The accumulators count the multiply-adds themselves: what a probe claims is what it did.
TEST(ProbeKernels, ClaimTheOperationsThatTheyDo) {
  for (Isa isa : test::tested_isas())
    for (const NamedProbe& probe : kComputeProbes) {
      const ComputeProbe& kernel = probe_kernels(isa).*probe.probe;
      if (!runs_here(probe, kernel)) continue;
      for (std::size_t rounds : {0, 1, 2, 3, 1000})
        EXPECT_EQ(2 * kernel.run(rounds), rounds * kernel.operations)
            << probe.name << " under " << name(isa) << ", " << rounds << " rounds";
    }
}

#if defined(__x86_64__)
TEST(ProbeKernels, OfTilesClaimTheOperationsThatTheyDo) {
  const platform::CpuFeatures& cpu = platform::cpu_features();
  if (!cpu.avx512_vnni) GTEST_SKIP() << "compiled for AVX-512";
  const auto check = [](const ComputeProbe& kernel, const char* name) {
    for (std::size_t rounds : {0, 1, 2, 3, 20})
      EXPECT_EQ(2 * kernel.run(rounds), rounds * kernel.operations) << name << ", " << rounds << " rounds";
  };
  check(kTileProbesModel.int8, "int8 on the model");
  check(kTileProbesModel.bf16, "bf16 on the model");
  if (cpu.amx_int8) check(kTileProbes.int8, "int8");
  if (cpu.amx_bf16) check(kTileProbes.bf16, "bf16");
  EXPECT_EQ(kTileProbes.int8.operations, 6u * 2 * 16 * 16 * 64);
  EXPECT_EQ(kTileProbes.bf16.operations, 6u * 2 * 16 * 16 * 32);
}
#endif

TEST(ProbeKernels, OnlyBf16MayBeAbsent) {
  for (Isa isa : test::tested_isas()) {
    EXPECT_NE(probe_kernels(isa).int8.run, nullptr);
    EXPECT_NE(probe_kernels(isa).f32.run, nullptr);
  }
}

TEST(ProbeKernels, ReadEveryByteOnce) {
  constexpr std::size_t kBytes = 5 * kReadProbeUnit;
  auto arena = platform::Arena::create(kBytes, "test");
  ASSERT_TRUE(arena.has_value());
  auto* words = reinterpret_cast<std::uint64_t*>(arena->data());
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < kBytes / 8; ++i)
    words[i] = state = state * 6364136223846793005u + 1442695040888963407u;
  for (std::size_t bytes = 0; bytes <= kBytes; bytes += kReadProbeUnit) {
    std::uint64_t expected = 0;
    for (std::size_t i = 0; i < bytes / 8; ++i) expected += words[i];
    for (Isa isa : test::tested_isas())
      EXPECT_EQ(probe_kernels(isa).read(arena->data(), bytes), expected) << name(isa) << ", " << bytes;
  }
}

// Figures of a machine that others use too are checked for sense only.
TEST(MachineProbe, MeasuresEveryLimit) {
  const Isa isa = test::tested_isas().back();
  const auto limits = measure_limits(
      {.isa = isa, .threads = 2, .passes = 1, .pass_s = 0.001, .memory_bytes = std::size_t{8} << 20});
  ASSERT_TRUE(limits.has_value()) << limits.error().message;
  EXPECT_EQ(limits->isa, isa);
  EXPECT_EQ(limits->threads, 2);
  for (const MeasuredLimit& limit : {limits->memory, limits->cache, limits->int8, limits->f32}) {
    EXPECT_GT(limit.one_thread, 1e6);
    EXPECT_GT(limit.all_threads, 1e6);
    EXPECT_LT(limit.all_threads, 1e16);
  }
  EXPECT_EQ(limits->bf16.has_value(), isa >= Isa::kAvx512 && platform::cpu_features().avx512_bf16);
  EXPECT_EQ(limits->int8_tiles.has_value(), isa == Isa::kAmx);
  EXPECT_EQ(limits->bf16_tiles.has_value(), isa == Isa::kAmx && platform::cpu_features().amx_bf16);
  EXPECT_EQ(&limits->int8_peak(), limits->int8_tiles ? &*limits->int8_tiles : &limits->int8);
}

}  // namespace
}  // namespace folio::kernels
