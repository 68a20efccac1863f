// The machine's NUMA nodes: which processors lie beside which memory, which threads go to which node, and
// where the pages of a buffer go.
//
// A machine with one node, or whose nodes cannot be read, is treated as one node: nothing is bound then, and
// nothing is interleaved.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace folio::platform {

struct NumaNode {
  int number = 0;                // as the operating system counts
  std::vector<int> processors;   // hardware threads that this process may use, ascending; may be empty
  int cores = 0;                 // physical cores that these belong to
  std::size_t memory_bytes = 0;  // 0: unknown, or a node without memory
};

struct Topology {
  std::vector<NumaNode> nodes;  // at least one

  int processors() const;
  int cores() const;
};

// As hwloc finds it, cut to the affinity mask of the first caller. The first call costs some milliseconds and
// half a megabyte; the answer is kept. Thread-safe.
const Topology& machine_topology();

// The machine as it is bound and allocated for: machine_topology() without nodes that have no usable
// processor. A machine of which the kernel names one node only is not asked further: then this costs nothing,
// and the counts of cores and memory are unknown (0).
const Topology& placement_topology();

// The position in `topology.nodes` of each of `threads` threads: contiguous ranges of threads, in proportion
// to the nodes' processors; a node without any gets none.
std::vector<int> nodes_of_threads(const Topology& topology, int threads);

// Lets the calling thread run on these processors alone: all of a node's, so that a neighbour busy on one of
// them does not stop it. Advice: where the system refuses, the thread runs where it ran before.
void bind_this_thread(std::span<const int> processors);

// Spreads the pages of [data, data + bytes), none of them touched yet, evenly over the nodes: for buffers
// that every thread reads. With one node does nothing. False where the system refuses (containers do, without
// CAP_SYS_NICE): the buffer works, its pages lie on the node of whoever touches them first.
// Requires: data is the start of a mapping.
bool interleave(std::byte* data, std::size_t bytes, const Topology& topology = placement_topology());

// Internal parts, for tests. nullopt: hwloc finds nothing usable.
// This machine, or a made-up one by hwloc's synthetic description ("node:2 core:4 pu:2"), of which only
// `usable` processors may be used.
std::optional<Topology> read_topology(std::span<const int> usable);
std::optional<Topology> synthetic_topology(const std::string& description, std::span<const int> usable);

}  // namespace folio::platform
