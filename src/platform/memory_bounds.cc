#include "platform/memory_bounds.h"

#include <fmt/format.h>

#include <string_view>

#include "platform/cgroup.h"
#include "platform/proc_files.h"

namespace folio::platform {
namespace {

std::size_t kib(const std::filesystem::path& path, std::string_view label) {
  return labelled_number(path, label).value_or(0) * 1024;
}

}  // namespace

std::vector<MemoryBound> memory_bounds(const std::filesystem::path& root) {
  const std::filesystem::path meminfo = root / "proc/meminfo", limits = root / "proc/self/limits",
                              status = root / "proc/self/status";
  std::vector<MemoryBound> bounds;
  bounds.push_back({.who = "this machine",
                    .limit_bytes = kib(meminfo, "MemTotal:"),
                    .free_bytes = kib(meminfo, "MemAvailable:")});
  for (const CgroupMemory& group : cgroup_memory(root))
    bounds.push_back({.who = fmt::format("cgroup {} ({})", group.path, group.file),
                      .limit_bytes = group.limit_bytes,
                      .free_bytes = group.free_bytes()});
  // "Max address space   4294967296   unlimited   bytes": the soft limit, a word where there is none.
  const auto add_rlimit = [&](std::string_view label, std::string_view used, std::string who) {
    const auto limit = labelled_number(limits, label);
    if (!limit) return;
    const std::size_t held = kib(status, used);
    bounds.push_back({.who = std::move(who),
                      .counts = MemoryBound::Counts::kAddresses,
                      .limit_bytes = *limit,
                      .free_bytes = *limit > held ? *limit - held : 0});
  };
  add_rlimit("Max address space", "VmSize:", "ulimit -v");
  add_rlimit("Max data size", "VmData:", "ulimit -d");  // private writable mappings count as data
  return bounds;
}

ProcessMemory process_memory(const std::filesystem::path& root) {
  const std::filesystem::path status = root / "proc/self/status";
  return {.resident_bytes = kib(status, "VmRSS:"), .anonymous_bytes = kib(status, "RssAnon:")};
}

}  // namespace folio::platform
