// For tests: counts this program's calls of operator new, to show that a steady state allocates nothing.
// Replaces the global operators, so exactly one source file of a test program may include it. (Not inlined:
// the compiler would see malloc paired with delete, and warn.)
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace folio::testing {

inline std::atomic<std::size_t> allocations{0};

}  // namespace folio::testing

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++folio::testing::allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++folio::testing::allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
