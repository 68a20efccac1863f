#include "platform/cgroup.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "platform/proc_files.h"

namespace folio::platform {
namespace {

namespace fs = std::filesystem;

enum class Version { kOne, kTwo };

// One hierarchy that this process is in: where its groups are to be found, and the group's name there.
struct Hierarchy {
  Version version;
  fs::path mount;    // below `root`
  std::string path;  // from the mount on, without a slash at its end; empty: the mount itself
  std::string name;  // as /proc/self/cgroup says
};

bool lists(std::string_view commas, std::string_view word) {
  while (!commas.empty()) {
    const std::size_t comma = std::min(commas.find(','), commas.size());
    if (commas.substr(0, comma) == word) return true;
    commas.remove_prefix(std::min(comma + 1, commas.size()));
  }
  return false;
}

// mountinfo writes a blank or a backslash in a path as its octal number: "\134".
std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// What of the group's name lies below a mount of `mount_root`. A group outside of it (another namespace's, or
// "/../x") cannot be seen: the mount itself is the nearest that can.
std::string below(const std::string& name, const std::string& mount_root) {
  if (name.find("/..") != std::string::npos) return {};
  std::string rest = name;
  if (mount_root != "/") {
    if (!name.starts_with(mount_root)) return {};
    rest = name.substr(mount_root.size());
    if (!rest.empty() && rest.front() != '/') return {};
  }
  while (rest.ends_with('/')) rest.pop_back();
  return rest;
}

// Fills mount and path from /proc/self/mountinfo:
//   36 35 98:0 /mount/root /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
bool find_mount(const fs::path& root, std::string_view controller, Hierarchy& hierarchy) {
  std::ifstream file(root / "proc/self/mountinfo");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line), after(line.substr(dash + 3));
    std::string skipped, mount_root, point, type, source, options;
    before >> skipped >> skipped >> skipped >> mount_root >> point;
    after >> type >> source >> options;
    const bool fits = hierarchy.version == Version::kTwo ? type == "cgroup2"
                                                         : type == "cgroup" && lists(options, controller);
    if (!fits) continue;
    hierarchy.mount = root / fs::path(unescaped(point)).relative_path();
    hierarchy.path = below(hierarchy.name, unescaped(mount_root));
    return true;
  }
  return false;
}

// Those that may limit what `controller` controls: its own in version 1, and version 2's. A hybrid has both.
std::vector<Hierarchy> hierarchies(const fs::path& root, std::string_view controller) {
  std::vector<Hierarchy> found;
  std::ifstream file(root / "proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {  // "4:memory:/a/b", "0::/a/b"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool two = controllers.empty();
    if (!two && !lists(controllers, controller)) continue;
    Hierarchy hierarchy{.version = two ? Version::kTwo : Version::kOne,
                        .mount = {},
                        .path = {},
                        .name = line.substr(second + 1)};
    if (find_mount(root, controller, hierarchy)) found.push_back(std::move(hierarchy));
  }
  return found;
}

// Calls visit(folder, name of the group) from the process's group up to the mount.
template <typename Visit>
void walk_up(const Hierarchy& hierarchy, Visit visit) {
  std::string path = hierarchy.path, name = hierarchy.name;
  while (true) {
    visit(hierarchy.mount / fs::path(path).relative_path(), name.empty() ? std::string("/") : name);
    if (path.empty()) return;
    path.resize(path.rfind('/'));
    name.resize(std::min(name.size(), name.rfind('/')));
  }
}

std::size_t reclaimable(const fs::path& folder, Version version) {
  const fs::path stat = folder / "memory.stat";
  const auto of = [&](std::string_view label) { return labelled_number(stat, label).value_or(0); };
  if (version == Version::kOne) return of("total_inactive_file") + of("total_active_file");
  return of("inactive_file") + of("active_file") + of("slab_reclaimable");
}

}  // namespace

std::vector<CgroupMemory> cgroup_memory(const fs::path& root) {
  constexpr std::size_t kUnlimited = std::size_t{1} << 62;  // version 1 says 2^63 - 4096
  std::vector<CgroupMemory> groups;
  for (const Hierarchy& hierarchy : hierarchies(root, "memory")) {
    const bool two = hierarchy.version == Version::kTwo;
    walk_up(hierarchy, [&](const fs::path& folder, const std::string& name) {
      const std::size_t held =
          number_in(folder / (two ? "memory.current" : "memory.usage_in_bytes")).value_or(0);
      const std::size_t cache = reclaimable(folder, hierarchy.version);
      const std::vector<const char*> files =
          two ? std::vector{"memory.max", "memory.high"} : std::vector{"memory.limit_in_bytes"};
      for (const char* file : files) {
        const std::size_t limit = number_in(folder / file).value_or(kUnlimited);
        if (limit < kUnlimited)
          groups.push_back({.path = name,
                            .file = file,
                            .limit_bytes = limit,
                            .used_bytes = held > cache ? held - cache : 0});
      }
    });
  }
  return groups;
}

std::optional<double> cgroup_processors(const fs::path& root) {
  std::optional<double> least;
  const auto take = [&](std::optional<std::size_t> quota, std::optional<std::size_t> period) {
    if (!quota || period.value_or(0) == 0) return;
    const double processors = static_cast<double>(*quota) / static_cast<double>(*period);
    least = std::min(least.value_or(processors), processors);
  };
  for (const Hierarchy& hierarchy : hierarchies(root, "cpu"))
    walk_up(hierarchy, [&](const fs::path& folder, const std::string&) {
      if (hierarchy.version == Version::kOne)  // the quota is -1, no number here, where there is no limit
        return take(number_in(folder / "cpu.cfs_quota_us"), number_in(folder / "cpu.cfs_period_us"));
      std::ifstream file(folder / "cpu.max");  // "200000 100000", "max 100000"
      std::string quota, period;
      if (file >> quota >> period) take(leading_number(quota), leading_number(period));
    });
  return least;
}

}  // namespace folio::platform
