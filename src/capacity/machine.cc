#include "capacity/machine.h"

#include <algorithm>

#include "base/check.h"
#include "platform/memory_bounds.h"

namespace folio::capacity {

const Bound& Machine::tightest() const {
  FOLIO_CHECK(!bounds.empty(), "a machine has memory");
  return *std::ranges::min_element(bounds, {}, &Bound::available_bytes);
}

Machine this_machine(int threads, const std::filesystem::path& root) {
  const platform::ProcessMemory process = platform::process_memory(root);
  Machine machine{.bounds = {}, .resident_bytes = process.resident_bytes, .threads = threads};
  const std::size_t reserved = static_cast<std::size_t>(threads) * kThreadAddressBytes;
  for (const platform::MemoryBound& bound : platform::memory_bounds(root)) {
    // Of what the process holds, the pages of files are counted as free above already.
    std::size_t available = bound.free_bytes + process.anonymous_bytes;
    if (bound.counts == platform::MemoryBound::Counts::kAddresses) available -= std::min(available, reserved);
    machine.bounds.push_back({.who = bound.who,
                              .limit_bytes = bound.limit_bytes,
                              .available_bytes = std::min(available, bound.limit_bytes)});
  }
  return machine;
}

}  // namespace folio::capacity
