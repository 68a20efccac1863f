// What the kernel tests share: the instruction sets under test, inputs that are hard on arithmetic,
// comparison bit for bit, and memory that notices a write beside its end.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "kernels/isa.h"
#include "kernels/kernel_set.h"

namespace folio::test {

inline constexpr double kUnitRoundoff =
    0x1p-24;  // u: one float operation is (1 + d) times the exact one, |d| <= u

// Under a sanitizer an operation costs 5 to 15 times as much; tests then leave out what only adds
// repetitions.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSlowBuild = true;
#else
inline constexpr bool kSlowBuild = false;
#endif

// The one that FOLIO_ISA names, else all that this machine executes. What was built and cannot run is said,
// once.
inline std::span<const kernels::Isa> tested_isas() {
  static const std::vector<kernels::Isa> tested = [] {
    const std::span<const kernels::Isa> available = kernels::available_isas();
    for (kernels::Isa built : kernels::built_isas())
      if (std::find(available.begin(), available.end(), built) == available.end())
        std::printf("NOT RUN: kernels under %s (this CPU lacks it)\n", std::string(name(built)).c_str());
    const char* forced = std::getenv("FOLIO_ISA");
    if (forced == nullptr || *forced == '\0') return std::vector(available.begin(), available.end());
    const Result<kernels::Isa> chosen = kernels::choose_isa(forced);
    FOLIO_CHECK(chosen.has_value(), "FOLIO_ISA cannot be used on this machine");
    return std::vector{*chosen};
  }();
  return tested;
}

// For tests of what is above the kernels. Under ThreadSanitizer the fastest alone: the threads' code is the
// same for all, and the plain C++ kernels would take minutes.
inline std::span<const kernels::Isa> tested_isas_on_threads() {
#if defined(__SANITIZE_THREAD__)
  return tested_isas().last(1);
#else
  return tested_isas();
#endif
}

// splitmix64: the same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t limit) { return bits() % limit; }
  std::size_t between(std::size_t least, std::size_t most) { return least + below(most - least + 1); }
  // Uniform in [-1, 1).
  float unit() { return static_cast<float>(static_cast<std::int32_t>(bits() >> 32)) * 0x1p-31f; }
  // Bell-shaped, standard deviation 1.
  float normal() { return (unit() + unit() + unit()) + (unit() + unit() + unit()) * 0.41421356f; }

 private:
  std::uint64_t state_;
};

enum class Values { kNormal, kHuge, kTiny, kDenormal, kAlternating, kSpread, kZeros, kOneHuge };
inline constexpr Values kAllValues[] = {Values::kNormal,   Values::kHuge,        Values::kTiny,
                                        Values::kDenormal, Values::kAlternating, Values::kSpread,
                                        Values::kZeros,    Values::kOneHuge};

inline float value(Values kind, Random& random, std::size_t index) {
  switch (kind) {
    case Values::kNormal:
      return random.normal();
    case Values::kHuge:
      return random.unit() * 1e30f;
    case Values::kTiny:
      return random.unit() * 1e-25f;  // products underflow
    case Values::kDenormal:
      return random.unit() * 1e-38f;
    case Values::kAlternating:
      return index % 2 == 0 ? 1.0f : -1.0f;  // sums cancel
    case Values::kSpread:
      return std::ldexp(random.unit(), static_cast<int>(random.below(60)) - 30);
    case Values::kZeros:
      return random.below(2) == 0 ? 0.0f : -0.0f;
    case Values::kOneHuge:
      return index == 3 ? 1e30f : random.normal();
  }
  return 0;
}

// Exactly `n` floats on the heap, so that AddressSanitizer sees a read past the end.
inline std::vector<float> floats(Values kind, std::size_t n, Random& random) {
  std::vector<float> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = value(kind, random, i);
  return out;
}

// Empty if the two hold the same bits (so -0 is not +0), else where and how they differ first.
template <typename T>
std::string difference(std::span<const T> expected, std::span<const T> actual) {
  if (expected.size() != actual.size())
    return fmt::format("{} elements, not {}", actual.size(), expected.size());
  if (std::memcmp(expected.data(), actual.data(), expected.size_bytes()) == 0) return {};
  std::size_t first = expected.size(), count = 0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (std::memcmp(&expected[i], &actual[i], sizeof(T)) != 0) {
      first = std::min(first, i);
      ++count;
    }
  return fmt::format("{} of {} elements differ, first [{}]: expected {}, is {}", count, expected.size(),
                     first, expected[first], actual[first]);
}
template <typename T>
std::string difference(const std::vector<T>& expected, const std::vector<T>& actual) {
  return difference(std::span<const T>(expected), std::span<const T>(actual));
}

// `n` elements between two guards; intact() tells whether something was written beside them.
template <typename T>
class Guarded {
 public:
  explicit Guarded(std::size_t n) : all_(n + 2 * kGuard) {
    std::memset(all_.data(), kCanary, all_.size() * sizeof(T));
  }
  explicit Guarded(const std::vector<T>& contents) : Guarded(contents.size()) {
    std::copy(contents.begin(), contents.end(), data());
  }
  T* data() { return all_.data() + kGuard; }
  std::span<const T> span() const { return std::span(all_).subspan(kGuard, all_.size() - 2 * kGuard); }
  bool intact() const {
    return is_canary(std::span(all_).first(kGuard)) && is_canary(std::span(all_).last(kGuard));
  }
  // Whether these elements were never written.
  static bool is_canary(std::span<const T> elements) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(elements.data());
    for (std::size_t i = 0; i < elements.size_bytes(); ++i)
      if (bytes[i] != kCanary) return false;
    return true;
  }

 private:
  static constexpr std::size_t kGuard = 64;
  static constexpr unsigned char kCanary = 0xa5;
  std::vector<T> all_;
};

// Sizes around every vector width and tail.
inline std::vector<std::size_t> sizes_around_vectors() {
  std::vector<std::size_t> sizes;
  for (std::size_t n = 1; n <= 70; ++n) sizes.push_back(n);
  for (std::size_t n : {95, 96, 97, 127, 128, 129, 255, 256, 257, 511, 513}) sizes.push_back(n);
  return sizes;
}

}  // namespace folio::test
