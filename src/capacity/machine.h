// What memory there is for this process and who says so. Plain data: a test makes up any machine.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace folio::capacity {

// One bound on all that the process holds, what it holds already included.
struct Bound {
  std::string who;  // "this machine", "cgroup /a/b (memory.max)", "ulimit -v", "--memory"
  std::size_t limit_bytes = 0;
  std::size_t available_bytes = 0;  // of the limit; the rest is others' or cannot be counted on
};

struct Machine {
  std::vector<Bound> bounds;  // at least one
  std::size_t resident_bytes =
      0;  // what the process holds by now: the program, its libraries, the vocabulary
  int threads = 1;

  // The bound that leaves the least.
  const Bound& tightest() const;
  std::size_t available_bytes() const { return tightest().available_bytes; }
};

// The machine as it is now, for a process that will compute on so many threads. Bounds on addresses
// (ulimit -v) lose what is mapped without being memory: files, libraries, and what threads will reserve for
// stacks and heaps. `root` stands for "/".
[[nodiscard]] Machine this_machine(int threads, const std::filesystem::path& root = "/");

// Address space that a thread takes whether it uses it or not: its stack, and glibc's heap for it.
inline constexpr std::size_t kThreadAddressBytes = (std::size_t{8} + 64) << 20;

}  // namespace folio::capacity
