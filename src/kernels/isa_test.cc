#include "kernels/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "kernels/kernel_set.h"
#include "platform/cpu.h"
#include "support/kernel_inputs.h"

namespace folio::kernels {
namespace {

using testing::HasSubstr;

bool is_available(Isa isa) { return std::ranges::find(available_isas(), isa) != available_isas().end(); }

std::string available_names() {
  std::string names;
  for (Isa isa : available_isas()) names += (names.empty() ? "" : ", ") + std::string(name(isa));
  return names;
}

TEST(Isa, ReferenceIsAlwaysThereAndTheOrderIsAscending) {
  ASSERT_FALSE(available_isas().empty());
  EXPECT_EQ(available_isas().front(), Isa::kReference);
  EXPECT_TRUE(std::ranges::is_sorted(available_isas()));
  EXPECT_TRUE(std::ranges::is_sorted(built_isas()));
  EXPECT_TRUE(std::ranges::includes(built_isas(), available_isas()));
}

TEST(Isa, AvailableIsWhatTheCpuHas) {
  const platform::CpuFeatures& cpu = platform::cpu_features();
  EXPECT_EQ(is_available(Isa::kAvx2), cpu.avx2);
  EXPECT_EQ(is_available(Isa::kAvx512), cpu.avx512 && cpu.avx512_vnni);
  EXPECT_EQ(is_available(Isa::kAmx), cpu.avx512 && cpu.avx512_vnni && cpu.amx_int8);
}

TEST(Isa, TheDefaultIsTheLastAvailable) {
  const Result<Isa> chosen = choose_isa("");
  ASSERT_TRUE(chosen.has_value());
  EXPECT_EQ(*chosen, available_isas().back());
}

TEST(Isa, ANameForcesItAndOneThatThisCpuLacksIsAnError) {
  for (Isa isa : built_isas()) {
    const Result<Isa> chosen = choose_isa(name(isa));
    if (is_available(isa)) {
      ASSERT_TRUE(chosen.has_value()) << name(isa);
      EXPECT_EQ(*chosen, isa);
      EXPECT_EQ(kernel_set(isa).isa, isa);
    } else {
      ASSERT_FALSE(chosen.has_value()) << name(isa);
      EXPECT_EQ(chosen.error().kind, ErrorKind::kUnsupported);
      EXPECT_THAT(chosen.error().message, HasSubstr(std::string(name(isa))));
    }
  }
}

// "neon" stands for every set that this machine lacks, "AVX2" and " avx2" for typing errors.
TEST(Isa, AnUnknownNameIsOneSentenceThatListsWhatThereIs) {
  for (const char* unknown : {"neon", "AVX2", " avx2", "avx2 ", "avx", "x"}) {
    const Result<Isa> chosen = choose_isa(unknown);
    ASSERT_FALSE(chosen.has_value()) << unknown;
    EXPECT_EQ(chosen.error().kind, ErrorKind::kUnsupported);
    EXPECT_EQ(chosen.error().message, "FOLIO_ISA=" + std::string(unknown) +
                                          " cannot be used on this machine: available are " +
                                          available_names() + "; unset it to use the fastest");
  }
}

// Also shows, under `FOLIO_ISA=... kernels_test`, that the force took effect.
TEST(Isa, TheVariableIsObeyed) {
  const char* set = std::getenv("FOLIO_ISA");
  const std::string before = set == nullptr ? "" : set;
  if (!before.empty()) {
    const Result<Isa> chosen = choose_isa();
    ASSERT_TRUE(chosen.has_value()) << chosen.error().message;
    EXPECT_EQ(name(*chosen), before);
    ASSERT_EQ(test::tested_isas().size(), 1u);
    EXPECT_EQ(test::tested_isas().front(), *chosen);
  }
  ASSERT_EQ(setenv("FOLIO_ISA", "reference", 1), 0);
  EXPECT_EQ(choose_isa().value(), Isa::kReference);
  ASSERT_EQ(setenv("FOLIO_ISA", "no-such-set", 1), 0);
  EXPECT_FALSE(choose_isa().has_value());
  ASSERT_EQ(setenv("FOLIO_ISA", "", 1), 0);  // set but empty: not forced
  EXPECT_EQ(choose_isa().value(), available_isas().back());
  ASSERT_EQ(unsetenv("FOLIO_ISA"), 0);
  EXPECT_EQ(choose_isa().value(), available_isas().back());
  if (!before.empty()) {
    ASSERT_EQ(setenv("FOLIO_ISA", before.c_str(), 1), 0);
  }
}

TEST(Isa, EverySetIsFilledAndAllDiffer) {
  for (Isa isa : built_isas()) {
    const KernelSet& set = kernel_set(isa);
    EXPECT_EQ(set.isa, isa);
#define ROW_KERNEL(name, parameters) EXPECT_NE(set.rows.name, nullptr);
#include "kernels/rows/kernels.inc"
#undef ROW_KERNEL
#define LINEAR_KERNEL(field, Format)    \
  EXPECT_NE(set.linear.field, nullptr); \
  EXPECT_EQ(panel_kernel(set.linear, LinearFormat::Format), set.linear.field);
#include "kernels/linear/kernels.inc"
#undef LINEAR_KERNEL
#define ATTENTION_KERNEL(field, Type)                  \
  EXPECT_NE(set.attention.field.attend, nullptr);      \
  EXPECT_NE(set.attention.field.store_key, nullptr);   \
  EXPECT_NE(set.attention.field.store_value, nullptr); \
  EXPECT_EQ(&type_kernels(set.attention, KvType::Type), &set.attention.field);
#include "kernels/attention/kernels.inc"
#undef ATTENTION_KERNEL
    EXPECT_NE(set.attention.merge, nullptr);
    EXPECT_NE(set.attention.finish, nullptr);
    for (Isa other : built_isas())
      if (other != isa) {
        EXPECT_NE(kernel_set(other).linear.q8_0, set.linear.q8_0);
        if (std::min(isa, other) == Isa::kAvx512) continue;  // AMX shares the rest of AVX-512
        EXPECT_NE(kernel_set(other).rows.rms_norm, set.rows.rms_norm);
        EXPECT_NE(kernel_set(other).attention.f32.attend, set.attention.f32.attend);
      }
  }
}

#if defined(__x86_64__)
TEST(Isa, WhatASetMayHaveIsTakenWhereTheCpuHasIt) {
  const bool bf16 = platform::cpu_features().avx512_bf16;
  for (Isa isa : {Isa::kAvx512, Isa::kAmx}) {
    if (!is_available(isa)) continue;
    EXPECT_EQ(kernel_set(isa).linear.bf16_dots == kBf16DotsAvx512Bf16, bf16) << name(isa);
  }
}
#endif

}  // namespace
}  // namespace folio::kernels
