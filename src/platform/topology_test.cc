#include "platform/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/thread_pool.h"

namespace folio::platform {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<int> first(int count) {
  std::vector<int> processors(static_cast<std::size_t>(count));
  std::iota(processors.begin(), processors.end(), 0);
  return processors;
}

Topology synthetic(const std::string& description, const std::vector<int>& usable) {
  return synthetic_topology(description, usable).value_or(Topology{});
}

Topology with_processors(std::initializer_list<int> counts) {
  Topology topology;
  int next = 0;
  for (int count : counts) {
    NumaNode node{.number = static_cast<int>(topology.nodes.size()), .cores = count, .memory_bytes = 1};
    while (count-- > 0) node.processors.push_back(next++);
    topology.nodes.push_back(node);
  }
  return topology;
}

TEST(Topology, CountsNodesCoresAndHardwareThreads) {
  const Topology topology = synthetic("node:2 core:4 pu:2", first(16));
  ASSERT_EQ(topology.nodes.size(), 2u);
  EXPECT_EQ(topology.cores(), 8);
  EXPECT_EQ(topology.processors(), 16);
  EXPECT_THAT(topology.nodes[1].processors, ElementsAre(8, 9, 10, 11, 12, 13, 14, 15));
  EXPECT_EQ(topology.nodes[1].cores, 4);
  EXPECT_EQ(topology.nodes[1].number, 1);
  EXPECT_GT(topology.nodes[1].memory_bytes, 0u);
}

TEST(Topology, KeepsToTheAffinityMask) {
  // One hardware thread of one core and both of another; of the second node nothing.
  const Topology topology = synthetic("node:2 core:4 pu:2", {1, 4, 5});
  ASSERT_EQ(topology.nodes.size(), 2u);
  EXPECT_THAT(topology.nodes[0].processors, ElementsAre(1, 4, 5));
  EXPECT_EQ(topology.nodes[0].cores, 2);
  EXPECT_THAT(topology.nodes[1].processors, IsEmpty());
  EXPECT_EQ(topology.nodes[1].cores, 0);
  EXPECT_EQ(topology.processors(), 3);
}

TEST(Topology, ProcessorsBelongToTheFirstOfSeveralKindsOfMemoryBesideThem) {
  // Two packages, each with two memories beside all of its cores.
  const Topology topology = synthetic("pack:2 [numa(memory=8GB)] [numa(memory=4GB)] core:2 pu:1", first(4));
  ASSERT_EQ(topology.nodes.size(), 4u);
  EXPECT_EQ(topology.processors(), 4);
  int with = 0;
  for (const NumaNode& node : topology.nodes) with += !node.processors.empty();
  EXPECT_EQ(with, 2);
}

TEST(Topology, RefusesWhatItCannotUse) {
  EXPECT_FALSE(synthetic_topology("no such thing", first(2)).has_value());
  EXPECT_FALSE(synthetic_topology("node:1 pu:2", std::vector<int>{7}).has_value());  // nothing usable
}

TEST(Topology, SurvivesAnyTreeOfTheKernel) {
  const auto folder = std::filesystem::temp_directory_path() / "folio_topology_test";
  const auto write = [&](const char* path, const char* text) {
    std::filesystem::create_directories((folder / path).parent_path());
    std::ofstream(folder / path) << text;
  };
  std::filesystem::create_directories(folder);
  ASSERT_EQ(setenv("HWLOC_FSROOT", folder.c_str(), 1), 0);
  for (int step = 0; step < 4; ++step) {
    if (step == 1) write("sys/devices/system/node/online", "0-4294967295,x\n");
    if (step == 2) write("sys/devices/system/node/node0/cpumap", "zz,ffffffff,\n");
    if (step == 3) write("sys/devices/system/cpu/cpu0/topology/thread_siblings", "\xff\xfe");
    const auto topology = read_topology(affine_processors());  // may find nothing; may not fall over
    if (topology) {
      EXPECT_LE(topology->processors(), static_cast<int>(affine_processors().size()));
    }
  }
  unsetenv("HWLOC_FSROOT");
  std::filesystem::remove_all(folder);
}

TEST(Topology, OfThisMachineHasItsProcessors) {
  EXPECT_EQ(machine_topology().processors(), static_cast<int>(affine_processors().size()));
  EXPECT_EQ(placement_topology().processors(), machine_topology().processors());
  for (const NumaNode& node : placement_topology().nodes) EXPECT_THAT(node.processors, Not(IsEmpty()));
}

TEST(NodesOfThreads, OneNodeHasAll) {
  EXPECT_THAT(nodes_of_threads(with_processors({8}), 3), ElementsAre(0, 0, 0));
}

TEST(NodesOfThreads, AreContiguousAndInProportion) {
  const Topology two = with_processors({8, 8});
  EXPECT_THAT(nodes_of_threads(two, 4), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(nodes_of_threads(two, 2), ElementsAre(0, 1));
  EXPECT_THAT(nodes_of_threads(with_processors({6, 2, 2, 2}), 6), ElementsAre(0, 0, 0, 1, 2, 3));
  for (const Topology& topology : {two, with_processors({6, 1, 3, 2}), with_processors({1, 40})})
    for (int threads = 1; threads <= 3 * topology.processors(); ++threads) {
      const std::vector<int> nodes = nodes_of_threads(topology, threads);
      EXPECT_TRUE(std::ranges::is_sorted(nodes));
      for (std::size_t i = 0; i < topology.nodes.size(); ++i) {
        const double fair =
            1.0 * threads * static_cast<double>(topology.nodes[i].processors.size()) / topology.processors();
        EXPECT_NEAR(static_cast<double>(std::ranges::count(nodes, static_cast<int>(i))), fair, 1)
            << threads << " threads, node " << i;
      }
    }
}

TEST(NodesOfThreads, ANodeWithoutProcessorsGetsNone) {
  EXPECT_THAT(nodes_of_threads(with_processors({2, 0, 2}), 4), ElementsAre(0, 0, 2, 2));
  EXPECT_THAT(nodes_of_threads(with_processors({0}), 2), ElementsAre(0, 0));
}

TEST(NodesOfThreads, MoreThreadsThanProcessors) {
  EXPECT_THAT(nodes_of_threads(with_processors({1, 1}), 5), ElementsAre(0, 0, 1, 1, 1));
}

// What the threads other than the caller may run on, in order of the threads. Every task waits until all
// threads have one.
std::vector<std::vector<int>> processors_of_workers(ThreadPool& pool) {
  std::vector<std::vector<int>> processors(static_cast<std::size_t>(pool.size()));
  std::atomic<int> inside = 0;
  pool.run(processors.size(), [&](std::size_t, int thread) {
    processors[static_cast<std::size_t>(thread)] = affine_processors();
    ++inside;
    while (inside.load() < pool.size()) std::this_thread::yield();
  });
  processors.erase(processors.begin());
  return processors;
}

TEST(ThreadPoolPlacement, BindsWorkersToAllProcessorsOfTheirNode) {
  const std::vector<int> usable = affine_processors();
  if (usable.size() < 2) GTEST_SKIP() << "one processor";
  Topology topology = with_processors({0, 0});
  topology.nodes[0].processors = {usable.front()};
  topology.nodes[1].processors = {usable.begin() + 1, usable.end()};
  ThreadPool pool(static_cast<int>(usable.size()), topology);
  EXPECT_THAT(std::vector<int>(pool.node_ends().begin(), pool.node_ends().end()),
              ElementsAre(1, static_cast<int>(usable.size())));
  for (const auto& processors : processors_of_workers(pool))
    EXPECT_EQ(processors, topology.nodes[1].processors);
  EXPECT_EQ(affine_processors(), usable);  // the caller stays free
}

TEST(ThreadPoolPlacement, OneNodeBindsNobodyAndImpossibleProcessorsDoNoHarm) {
  const std::vector<int> usable = affine_processors();
  Topology one = with_processors({1});
  one.nodes[0].processors = {usable.front()};
  Topology impossible = with_processors({1, 1});
  impossible.nodes[0].processors = impossible.nodes[1].processors = {60000};
  for (const Topology& topology : {one, impossible}) {
    ThreadPool pool(2, topology);
    EXPECT_THAT(processors_of_workers(pool), ElementsAre(usable));
  }
}

TEST(Interleave, WithOneNodeDoesNothingAndSucceeds) {
  const auto arena = Arena::create(1 << 20, "test", Placement::kInterleaved);
  ASSERT_TRUE(arena.has_value());
  EXPECT_TRUE(interleave(arena->data(), arena->size(), with_processors({2})));
  EXPECT_TRUE(interleave(nullptr, 0, with_processors({1, 1})));
  arena->data()[arena->size() - 1] = std::byte{1};
}

TEST(Interleave, NodesThatAreNotThereAreRefusedAndTheMemoryWorks) {
  const auto arena = Arena::create(1 << 20, "test");
  ASSERT_TRUE(arena.has_value());
  Topology absent = with_processors({1, 1});
  absent.nodes[0].number = 900;
  absent.nodes[1].number = 901;
  EXPECT_FALSE(interleave(arena->data(), arena->size(), absent));
  arena->data()[arena->size() - 1] = std::byte{1};
}

}  // namespace
}  // namespace folio::platform
