// Limits on memory and processors, on trees of files as Linux shows them.
#include "platform/memory_bounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/cgroup.h"
#include "platform/memory.h"
#include "support/proc_tree.h"

namespace folio::platform {
namespace {

using test::kMiB;
using test::ProcTree;
using testing::DoubleEq;
using testing::ElementsAre;
using testing::Optional;

class Bounds : public testing::Test, public ProcTree {
 protected:
  // "who limit free", in MiB, of all but the machine.
  std::vector<std::string> others() const {
    std::vector<std::string> lines;
    for (const MemoryBound& bound : memory_bounds(root()))
      if (bound.who != "this machine")
        lines.push_back(bound.who + " " + std::to_string(bound.limit_bytes / kMiB) + " " +
                        std::to_string(bound.free_bytes / kMiB));
    return lines;
  }
};

TEST_F(Bounds, WithoutGroupsTheMachineAlone) {
  const auto bounds = memory_bounds(root());
  ASSERT_EQ(bounds.size(), 1u);
  EXPECT_EQ(bounds[0].who, "this machine");
  EXPECT_EQ(bounds[0].limit_bytes, 16384 * kMiB);
  EXPECT_EQ(bounds[0].free_bytes, 12288 * kMiB);
  const ProcessMemory process = process_memory(root());
  EXPECT_EQ(process.resident_bytes, 50 * kMiB);
  EXPECT_EQ(process.anonymous_bytes, 30 * kMiB);
}

TEST_F(Bounds, OfAContainerTheMountIsTheGroup) {
  enter("/");
  group("", 2048, 1024);
  EXPECT_THAT(others(), ElementsAre("cgroup / (memory.max) 2048 1024"));
}

// A service's own MemoryMax, and MemoryHigh of the slice around it.
TEST_F(Bounds, OfASystemdServiceEveryGroupOnTheWayUp) {
  write("proc/self/cgroup", "0::/system.slice/folio.service\n");
  write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + std::string(kUnified));
  group("/system.slice/folio.service", 4096, 96);
  group("/system.slice", 0, 512);
  write("sys/fs/cgroup/system.slice/memory.high", std::to_string(3072 * kMiB) + "\n");
  EXPECT_THAT(others(), ElementsAre("cgroup /system.slice/folio.service (memory.max) 4096 4000",
                                    "cgroup /system.slice (memory.high) 3072 2560"));
}

TEST_F(Bounds, OfNestedGroupsAnyMayBeTheTightest) {
  enter("/a/b/c");
  group("/a/b/c", 8192, 10);
  group("/a/b", 1000, 900);
  group("/a", 2000, 950);
  EXPECT_THAT(others(), ElementsAre("cgroup /a/b/c (memory.max) 8192 8182",
                                    "cgroup /a/b (memory.max) 1000 100", "cgroup /a (memory.max) 2000 1050"));
}

// 9 GB of a model just downloaded lie in the page cache, most of them as recently used.
TEST_F(Bounds, PageCacheIsNoUse) {
  enter("/");
  const auto bytes = [](std::size_t mib) { return std::to_string(mib * kMiB) + "\n"; };
  group("", 10000, 9500,
        "anon " + bytes(200) + "file " + bytes(9200) + "inactive_file " + bytes(4000) + "active_file " +
            bytes(5000) + "slab_reclaimable " + bytes(100));
  EXPECT_THAT(others(), ElementsAre("cgroup / (memory.max) 10000 9600"));
}

TEST_F(Bounds, MoreUsedThanAllowedIsNothingFree) {
  enter("/");
  group("", 100, 200);
  EXPECT_THAT(others(), ElementsAre("cgroup / (memory.max) 100 0"));
}

// Without a namespace of its own a container sees the host's names, and of the tree its own part.
TEST_F(Bounds, AMountMayShowAPartOfTheTree) {
  write("proc/self/cgroup", "0::/docker/abc\\x2d1/inner\n");
  write("proc/self/mountinfo", "31 22 0:27 /docker/abc\\134x2d1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  group("/inner", 300, 0);
  group("", 200, 0);
  EXPECT_THAT(others(), ElementsAre("cgroup /docker/abc\\x2d1/inner (memory.max) 300 300",
                                    "cgroup /docker/abc\\x2d1 (memory.max) 200 200"));
}

TEST_F(Bounds, AGroupOutOfSightIsBoundedByWhatCanBeSeen) {
  group("", 500, 0);
  for (const char* name : {"/../../other", "/gone/away"}) {
    enter(name);
    const auto bounds = memory_bounds(root());
    ASSERT_EQ(bounds.size(), 2u) << name;
    EXPECT_EQ(bounds[1].free_bytes, 500 * kMiB) << name;
  }
}

TEST_F(Bounds, VersionOneAndHybrids) {
  write("proc/self/cgroup", "9:name=systemd:/\n4:hugetlb,memory:/jobs/7\n1:cpu,cpuacct:/jobs\n0::/\n");
  write("proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory,hugetlb\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  write("sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", "1048576000\n");
  write("sys/fs/cgroup/memory/jobs/7/memory.usage_in_bytes", "524288000\n");
  write("sys/fs/cgroup/memory/jobs/7/memory.stat",
        "inactive_file 1\ntotal_inactive_file 104857600\ntotal_active_file 104857600\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");  // none
  write("sys/fs/cgroup/cpu/jobs/cpu.cfs_quota_us", "150000\n");
  write("sys/fs/cgroup/cpu/jobs/cpu.cfs_period_us", "100000\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_THAT(others(), ElementsAre("cgroup /jobs/7 (memory.limit_in_bytes) 1000 700"));
  EXPECT_THAT(cgroup_processors(root()), Optional(DoubleEq(1.5)));
}

TEST_F(Bounds, ProcessorsAreTheLeastQuotaOnTheWayUp) {
  enter("/system.slice/folio.service");
  EXPECT_EQ(cgroup_processors(root()), std::nullopt);
  write("sys/fs/cgroup/system.slice/folio.service/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_processors(root()), std::nullopt);
  write("sys/fs/cgroup/system.slice/cpu.max", "250000 100000\n");  // CPUQuota=250%
  EXPECT_THAT(cgroup_processors(root()), Optional(DoubleEq(2.5)));
  write("sys/fs/cgroup/system.slice/folio.service/cpu.max", "50000 100000\n");
  EXPECT_THAT(cgroup_processors(root()), Optional(DoubleEq(0.5)));
  write("sys/fs/cgroup/system.slice/folio.service/cpu.max", "50000 0\n");  // no period: no quota
  EXPECT_THAT(cgroup_processors(root()), Optional(DoubleEq(2.5)));
}

TEST_F(Bounds, UlimitCountsAddresses) {
  limits("unlimited", std::to_string(1000 * kMiB));
  EXPECT_THAT(others(), ElementsAre("ulimit -v 1000 800"));
  EXPECT_EQ(memory_bounds(root())[1].counts, MemoryBound::Counts::kAddresses);
  limits(std::to_string(150 * kMiB), std::to_string(1000 * kMiB));
  EXPECT_THAT(others(), ElementsAre("ulimit -v 1000 800", "ulimit -d 150 50"));
  limits("unlimited", std::to_string(100 * kMiB));
  EXPECT_THAT(others(), ElementsAre("ulimit -v 100 0"));
}

TEST_F(Bounds, GarbageLimitsNothing) {
  write("proc/self/cgroup", "no colons\n0:\n::\n0::/a\n");
  write("proc/self/mountinfo", "short\n - \n1 2 3 / /sys/fs/cgroup rw - cgroup2\n");
  write("sys/fs/cgroup/a/memory.max", "many\n");
  write("sys/fs/cgroup/memory.max", "99999999999999999999999\n");
  EXPECT_THAT(others(), ElementsAre());
}

TEST(MemoryFigures, OfThisProcess) {
  const ProcessMemory process = process_memory();
  EXPECT_GT(process.resident_bytes, kMiB);
  EXPECT_GE(process.resident_bytes, process.anonymous_bytes);
  std::size_t least = memory_bounds().front().free_bytes;
  for (const MemoryBound& bound : memory_bounds()) least = std::min(least, bound.free_bytes);
  EXPECT_NEAR(static_cast<double>(available_bytes()), static_cast<double>(least), 512.0 * kMiB);
}

}  // namespace
}  // namespace folio::platform
