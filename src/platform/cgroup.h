// The control groups (cgroups) around this process and what they allow it: its own and every one above, since
// a limit anywhere on the way binds. Version 2, version 1 and hybrids of the two; so a container's limits,
// systemd's MemoryMax=, MemoryHigh= and CPUQuota= on the host, and nested groups.
//
// The group is the one that /proc/self/cgroup names, below the mount that /proc/self/mountinfo names: inside
// a container the mount shows a part of the tree only. `root` stands for "/"; tests give a folder with proc/
// and sys/ in it. Thread rule: pure functions of the files; any thread. Errors: what cannot be read limits
// nothing.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace folio::platform {

struct CgroupMemory {
  std::string path;  // "/system.slice/folio.service"
  std::string file;  // where the limit stands: "memory.max", "memory.high", "memory.limit_in_bytes"
  std::size_t limit_bytes;
  // What the group holds of it without the page cache: the kernel takes that back before it refuses memory or
  // kills, the recently read part (active_file) as well as the rest. A model just downloaded and checked is
  // such a part; counting it as used would refuse to load that very model.
  std::size_t used_bytes;

  std::size_t free_bytes() const { return limit_bytes > used_bytes ? limit_bytes - used_bytes : 0; }
};

// The groups with a limit, the process's own first. memory.high counts: beyond it the kernel slows the group
// down until it gives memory back.
std::vector<CgroupMemory> cgroup_memory(const std::filesystem::path& root = "/");

// Processors' worth of time that the groups grant: the least quota / period; nullopt without a limit.
std::optional<double> cgroup_processors(const std::filesystem::path& root = "/");

}  // namespace folio::platform
