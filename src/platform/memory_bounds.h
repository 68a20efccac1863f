// Everything that bounds the memory of this process: the machine, the cgroups around it, ulimit.
//
// Thread rule: pure functions of the files below `root`, "/" but in tests; any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace folio::platform {

struct MemoryBound {
  // What is counted against it: memory that is really there, or every mapped address, touched or not.
  enum class Counts { kMemory, kAddresses };

  std::string who;  // "this machine", "cgroup /a/b (memory.max)", "ulimit -v"
  Counts counts = Counts::kMemory;
  std::size_t limit_bytes = 0;
  std::size_t free_bytes = 0;  // what this process may still take of it
};

// The machine first: it is always there. MemAvailable is the kernel's own estimate of what can be had without
// swapping, page cache included.
std::vector<MemoryBound> memory_bounds(const std::filesystem::path& root = "/");

// What this process holds, from /proc/self/status.
struct ProcessMemory {
  std::size_t resident_bytes = 0;   // VmRSS
  std::size_t anonymous_bytes = 0;  // RssAnon: of it what is no file's, and cannot be had back
};
ProcessMemory process_memory(const std::filesystem::path& root = "/");

}  // namespace folio::platform
