// A folder that looks like "/" of a machine: /proc and /sys/fs/cgroup with the figures that a test wants.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "support/temp_dir.h"

namespace folio::test {

inline constexpr std::size_t kMiB = std::size_t{1} << 20;

class ProcTree {
 public:
  static constexpr const char* kUnified =
      "31 22 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

  // A machine of 16 GB, 12 of them available, and a process that holds 50 MB, 30 of them its own, and has
  // mapped 200.
  ProcTree() {
    memory(16384, 12288);
    write("proc/self/status",
          "Name:\tfolio\nVmSize:\t  204800 kB\nVmRSS:\t   51200 kB\nRssAnon:\t   30720 kB\nVmData:\t  102400 "
          "kB\n");
    limits("unlimited", "unlimited");
  }

  std::filesystem::path root() const { return folder_.path(); }

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  // In MB.
  void memory(std::size_t total, std::size_t available) const {
    write("proc/meminfo", "MemTotal:       " + std::to_string(total * 1024) +
                              " kB\nMemFree: 1 kB\nMemAvailable:   " + std::to_string(available * 1024) +
                              " kB\n");
  }
  // `ulimit -d` and `ulimit -v`, in bytes.
  void limits(const std::string& data, const std::string& addresses) const {
    const auto line = [](std::string name, const std::string& soft) {
      name.resize(26, ' ');
      return name + soft + "            unlimited            bytes     \n";
    };
    write("proc/self/limits", line("Limit", "Soft Limit") + line("Max cpu time", "unlimited") +
                                  line("Max data size", data) + line("Max address space", addresses));
  }
  // The process is in this group of version 2.
  void enter(const std::string& name) const {
    write("proc/self/cgroup", "0::" + name + "\n");
    write("proc/self/mountinfo", kUnified);
  }
  // A group of version 2 that allows so many MB and holds so many; a limit of 0 is "max".
  void group(const std::string& name, std::size_t limit, std::size_t current,
             const std::string& stat = "") const {
    const std::string folder = "sys/fs/cgroup" + name;
    write(folder + "/memory.max", limit == 0 ? "max\n" : std::to_string(limit * kMiB) + "\n");
    write(folder + "/memory.current", std::to_string(current * kMiB) + "\n");
    write(folder + "/memory.stat", stat);
  }

 private:
  TempDir folder_;
};

}  // namespace folio::test
