#include "platform/topology.h"

#include <hwloc.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "platform/cpu.h"

namespace folio::platform {
namespace {

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Handle = std::unique_ptr<hwloc_topology, DestroyTopology>;

// Without caches, and by default without devices: hwloc's plugins for graphics cards find nothing to do.
// Packages and groups stay, since a node gets its processors from them.
Handle open_topology(const char* synthetic) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return nullptr;
  Handle handle(raw);
  hwloc_topology_set_cache_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_NONE);
  // Its own way of asking an x86 processor moves the calling thread from core to core.
  hwloc_topology_set_flags(raw, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING);
  if (synthetic != nullptr && hwloc_topology_set_synthetic(raw, synthetic) != 0) return nullptr;
  return hwloc_topology_load(raw) == 0 ? std::move(handle) : nullptr;
}

// How many cores hold at least one of `processors`; each processor its own core where hwloc sees none.
int cores_of(hwloc_topology_t topology, std::span<const int> processors) {
  std::vector<unsigned> cores;
  for (int processor : processors) {
    hwloc_obj_t object = hwloc_get_pu_obj_by_os_index(topology, static_cast<unsigned>(processor));
    while (object != nullptr && object->type != HWLOC_OBJ_CORE) object = object->parent;
    if (object == nullptr) return static_cast<int>(processors.size());
    cores.push_back(object->logical_index);
  }
  std::ranges::sort(cores);
  return static_cast<int>(std::ranges::unique(cores).begin() - cores.begin());
}

// Nodes of several kinds of memory may lie beside the same processors: the first of them has them.
std::optional<Topology> nodes_in(const Handle& handle, std::span<const int> usable) {
  if (!handle) return std::nullopt;
  Topology topology;
  std::vector<int> left(usable.begin(), usable.end());
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(handle.get(), HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    const auto here = std::ranges::stable_partition(left, [node](int processor) {
      return hwloc_bitmap_isset(node->cpuset, static_cast<unsigned>(processor)) == 0;
    });
    NumaNode found{.number = static_cast<int>(node->os_index),
                   .processors = {here.begin(), here.end()},
                   .memory_bytes = node->attr->numanode.local_memory};
    left.erase(here.begin(), here.end());
    found.cores = cores_of(handle.get(), found.processors);
    topology.nodes.push_back(std::move(found));
  }
  const bool any =
      std::ranges::any_of(topology.nodes, [](const NumaNode& n) { return !n.processors.empty(); });
  return any ? std::optional(topology) : std::nullopt;
}

Topology one_node() {
  std::vector<int> processors = affine_processors();
  return {.nodes = {{.processors = std::move(processors)}}};
}

// Whether the kernel names more than one node: "0" against "0-1" or "0,2".
bool several_nodes_online() {
  std::ifstream file("/sys/devices/system/node/online");
  std::string list;
  return file >> list && list.find_first_of("-,") != std::string::npos;
}

// Bits as the system calls take them.
class Mask {
 public:
  explicit Mask(std::span<const int> set) {
    for (int bit : set) {
      if (bit < 0) continue;
      const auto word = static_cast<std::size_t>(bit) / kWordBits;
      if (words_.size() <= word) words_.resize(word + 1);
      words_[word] |= 1ul << (static_cast<std::size_t>(bit) % kWordBits);
    }
  }
  const unsigned long* words() const { return words_.data(); }
  std::size_t bytes() const { return words_.size() * sizeof(unsigned long); }

 private:
  static constexpr std::size_t kWordBits = 8 * sizeof(unsigned long);
  std::vector<unsigned long> words_;
};

}  // namespace

int Topology::processors() const {
  std::size_t count = 0;
  for (const NumaNode& node : nodes) count += node.processors.size();
  return static_cast<int>(count);
}

int Topology::cores() const {
  int count = 0;
  for (const NumaNode& node : nodes) count += node.cores;
  return count;
}

std::optional<Topology> read_topology(std::span<const int> usable) {
  return nodes_in(open_topology(nullptr), usable);
}

std::optional<Topology> synthetic_topology(const std::string& description, std::span<const int> usable) {
  return nodes_in(open_topology(description.c_str()), usable);
}

const Topology& machine_topology() {
  static const Topology topology = read_topology(affine_processors()).value_or(one_node());
  return topology;
}

const Topology& placement_topology() {
  static const Topology topology = [] {
    if (!several_nodes_online()) return one_node();
    Topology used = machine_topology();
    std::erase_if(used.nodes, [](const NumaNode& node) { return node.processors.empty(); });
    return used;
  }();
  return topology;
}

std::vector<int> nodes_of_threads(const Topology& topology, int threads) {
  std::vector<int> node_of_processor;
  for (std::size_t i = 0; i < topology.nodes.size(); ++i)
    node_of_processor.insert(node_of_processor.end(), topology.nodes[i].processors.size(),
                             static_cast<int>(i));
  std::vector<int> nodes(static_cast<std::size_t>(threads));
  if (node_of_processor.empty()) return nodes;
  // Thread t lies in the middle of the t-th of as many equal parts of the processors as there are threads.
  for (std::size_t t = 0; t < nodes.size(); ++t)
    nodes[t] = node_of_processor[(2 * t + 1) * node_of_processor.size() / (2 * nodes.size())];
  return nodes;
}

void bind_this_thread(std::span<const int> processors) {
  const Mask mask(processors);
  if (mask.bytes() > 0) syscall(SYS_sched_setaffinity, 0, mask.bytes(), mask.words());
}

bool interleave(std::byte* data, std::size_t bytes, const Topology& topology) {
  std::vector<int> numbers;
  for (const NumaNode& node : topology.nodes)
    if (node.memory_bytes > 0) numbers.push_back(node.number);
  if (topology.nodes.size() < 2 || numbers.size() < 2 || bytes == 0) return true;
  const Mask mask(numbers);
  // The kernel takes the number of bits plus one.
  return syscall(SYS_mbind, data, bytes, MPOL_INTERLEAVE, mask.words(), mask.bytes() * 8 + 1, 0) == 0;
}

}  // namespace folio::platform
