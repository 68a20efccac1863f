// For tests: counts this program's calls of operator new and the bytes they ask for, to show that a steady
// state allocates nothing and a start what it says.
// Replaces the global operators, so exactly one source file of a test program may include it. (Not inlined:
// the compiler would see malloc paired with delete, and warn.)
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace folio::testing {

inline std::atomic<std::size_t> allocations{0};
inline std::atomic<std::size_t> allocated_bytes{0};

}  // namespace folio::testing

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++folio::testing::allocations;
  folio::testing::allocated_bytes += bytes;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++folio::testing::allocations;
  folio::testing::allocated_bytes += bytes;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
