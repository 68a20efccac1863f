// (machine, wish) -> plan or sentence.
#include "capacity/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <ostream>

#include "base/rng.h"
#include "kv/block_pool.h"
#include "kv/kv_cache.h"
#include "model/model.h"
#include "support/proc_tree.h"

namespace folio::capacity {
namespace {

using test::kMiB;
constexpr std::size_t kGiB = kMiB << 10;
constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();

// Llama 3.2 1B's shape in Q4_0: 32 KB of KV for each token in f16, 512 KB a block.
ModelShape shape_1b() {
  model::ModelConfig config;
  config.layers = 16;
  config.hidden = 2048;
  config.heads = 32;
  config.kv_heads = 8;
  config.head_dim = 64;
  config.rope.dims = 64;
  config.ffn = 8192;
  config.vocab = 128256;
  config.context = config.max_context = 131072;
  return {.config = config,
          .geometry = kv::KvGeometry::create(model::kv_shape(config, kernels::KvType::kF16, 16)).value(),
          .weight_bytes = 800 * kMiB,
          .vector_bytes = kMiB,
          .largest_tensor_bytes = 270 * kMiB};
}

// The same with weights of 8.5 GB.
ModelShape shape_8b() {
  ModelShape shape = shape_1b();
  shape.weight_bytes = 8704 * kMiB;
  return shape;
}

Machine machine(std::size_t total_mib, std::size_t available_mib, std::string who = "this machine") {
  return {.bounds = {{.who = std::move(who),
                      .limit_bytes = total_mib * kMiB,
                      .available_bytes = available_mib * kMiB}},
          .resident_bytes = 60 * kMiB,
          .threads = 4};
}

std::string outcome(const Result<Plan>& plan) {
  if (!plan) return plan.error().message;
  return fmt::format("context {} blocks {} swap {}", plan->context_tokens, plan->blocks, plan->swap_blocks);
}

struct Row {
  const char* name;
  ModelShape shape;
  Machine machine;
  Wish wish;
  std::string expected;

  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

class PlanTable : public testing::TestWithParam<Row> {};

TEST_P(PlanTable, GivesThePlanOrTheSentence) {
  const Row& row = GetParam();
  const auto made = plan(row.machine, row.shape, row.wish);
  EXPECT_EQ(outcome(made), row.expected);
  if (made) {
    EXPECT_LE(made->total_bytes(), made->bound.available_bytes);
  }
}

const Row kRows[] = {
    // Automatic sizes.
    {"run: one context of the model",
     shape_1b(),
     machine(32768, 30000),
     {},
     "context 131072 blocks 8192 swap 0"},
    {"run: what half of the free memory holds",
     shape_1b(),
     machine(16384, 8000),
     {},
     "context 127040 blocks 7940 swap 0"},
    {"run: what fits where the weights are most of it",
     shape_8b(),
     machine(16384, 10000),
     {},
     "context 24224 blocks 1514 swap 0"},
    {"serve: 4 GB of blocks",
     shape_1b(),
     machine(65536, 60000),
     {.kv = KvAutomatic{4 * kGiB}},
     "context 131072 blocks 8192 swap 0"},
    {"serve: half of the free memory",
     shape_1b(),
     machine(8192, 6000),
     {.kv = KvAutomatic{4 * kGiB}},
     "context 95040 blocks 5940 swap 0"},
    {"serve: a context that was asked for has room",
     shape_1b(),
     machine(32768, 30000),
     {.context_tokens = 131072, .kv = KvAutomatic{kGiB}},
     "context 131072 blocks 8192 swap 0"},
    {"serve: what its requests take is not there for blocks",
     shape_8b(),
     machine(16384, 10000),
     {.kv = KvAutomatic{4 * kGiB}, .beside = {{"requests", 300 * kMiB, "--max-request-bytes"}}},
     "context 14624 blocks 914 swap 0"},
    {"run: not one block fits, by a little",
     shape_8b(),
     machine(16384, 9034),
     {},
     "weights 8704 + the rest 331 = 9035 MB, but 9034 MB are available (this machine: 16384 MB); not even "
     "one KV block fits beside the rest: try --weights q4_0, or use a smaller model"},
    // What the largest tensor takes while loading is there for blocks afterwards.
    {"run: one MB more", shape_8b(), machine(16384, 9036), {}, "context 16 blocks 1 swap 0"},
    // Sizes that were asked for.
    {"bytes", shape_1b(), machine(16384, 8000), {.kv = KvBytes{kGiB}}, "context 131072 blocks 2048 swap 0"},
    {"bytes: whole blocks",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBytes{kGiB - 1}},
     "context 131072 blocks 2047 swap 0"},
    {"blocks", shape_1b(), machine(16384, 8000), {.kv = KvBlocks{100}}, "context 131072 blocks 100 swap 0"},
    {"tokens: rounded up to blocks",
     shape_1b(),
     machine(16384, 8000),
     {.context_tokens = 1000, .kv = KvTokens{1000}},
     "context 1000 blocks 63 swap 0"},
    {"swap",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBlocks{100}, .swap_bytes = 10 * kMiB},
     "context 131072 blocks 100 swap 20"},
    // What does not fit.
    {"bytes that do not fit",
     shape_8b(),
     machine(24576, 16000),
     {.kv = KvBytes{12 * kGiB}},
     "KV blocks 12.0 + weights 8.5 + the rest 0.2 = 20.7 GB, but 15.6 GB are available (this machine: 24.0 "
     "GB); --kv-cache-memory-bytes 6G fits"},
    {"bytes that do not fit by little",
     shape_1b(),
     machine(4096, 2000),
     {.kv = KvBytes{kGiB}},
     "KV blocks 1024 + weights 800 + activations 68 + attention scratch 64 + program and vocabulary 60 + the "
     "rest 34 = 2050 MB, but 2000 MB are available (this machine: 4096 MB); --kv-cache-memory-bytes 973M "
     "fits"},
    {"blocks that do not fit",
     shape_1b(),
     machine(4096, 2000),
     {.kv = KvBlocks{10000}},
     "KV blocks 4.9 + weights 0.8 + the rest 0.2 = 5.9 GB, but 2.0 GB are available (this machine: 4.0 GB); "
     "--num-gpu-blocks-override 1947 fits"},
    {"tokens that do not fit",
     shape_1b(),
     machine(4096, 2000),
     {.kv = KvTokens{100000}},
     "KV blocks 3.1 + weights 0.8 + the rest 0.2 = 4.1 GB, but 2.0 GB are available (this machine: 4.0 GB); "
     "--kv-tokens 31152 fits"},
    {"a context that does not fit",
     shape_1b(),
     machine(4096, 2000),
     {.context_tokens = 131072},
     "KV blocks 4.0 + weights 0.8 + the rest 0.2 = 5.0 GB, but 2.0 GB are available (this machine: 4.0 GB); "
     "--ctx-size 31152 fits"},
    {"a context that does not fit beside bytes that do not",
     shape_1b(),
     machine(4096, 2000),
     {.context_tokens = 100000, .kv = KvBytes{8 * kGiB}},
     "KV blocks 8.0 + weights 0.8 + the rest 0.2 = 9.0 GB, but 2.0 GB are available (this machine: 4.0 GB); "
     "--kv-cache-memory-bytes 973M with --ctx-size 31152 fits"},
    {"swap that does not fit",
     shape_1b(),
     machine(4096, 2000),
     {.kv = KvBlocks{16}, .swap_bytes = 4 * kGiB},
     "KV swap area 4.0 + weights 0.8 + the rest 0.2 = 5.0 GB, but 2.0 GB are available (this machine: 4.0 "
     "GB); not even one KV block fits beside the rest: lower --swap-space, or try --weights q4_0, or use a "
     "smaller model"},
    {"weights alone do not fit",
     shape_8b(),
     machine(8192, 7000),
     {},
     "weights 8.5 + the rest 0.3 = 8.8 GB, but 6.8 GB are available (this machine: 8.0 GB); not even one KV "
     "block fits beside the rest: try --weights q4_0, or use a smaller model"},
    {"requests do not fit",
     shape_1b(),
     machine(4096, 2000),
     {.beside = {{"requests", 3 * kGiB, "--max-request-bytes"}}},
     "requests 3.0 + weights 0.8 + activations 0.1 + the rest 0.1 = 4.0 GB, but 2.0 GB are available (this "
     "machine: 4.0 GB); not even one KV block fits beside the rest: lower --max-request-bytes, or try "
     "--weights q4_0, or use a smaller model"},
    // Contradictions.
    {"less than a block",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBytes{1000}},
     "--kv-cache-memory-bytes 1000 holds not even one KV block of 16 tokens, which takes 524288 bytes"},
    {"no block",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBlocks{0}},
     "--num-gpu-blocks-override 0 holds not even one KV block of 16 tokens, which takes 524288 bytes"},
    {"a context larger than the pool",
     shape_1b(),
     machine(16384, 8000),
     {.context_tokens = 8192, .kv = KvTokens{4096}},
     "--ctx-size 8192 and --kv-tokens 4096 contradict each other: a context of 8192 tokens takes 512 KV "
     "blocks = 256 MB, all blocks together are 256 = 128 MB"},
    {"a context longer than the model's",
     shape_1b(),
     machine(16384, 8000),
     {.context_tokens = 131073},
     "--ctx-size 131073 is longer than the model's context of 131072 tokens"},
    // More than can be addressed.
    {"blocks beyond BlockId",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBlocks{std::size_t{1} << 31}},
     "2147483648 blocks of 524288 bytes are more than the 2147483647 that can be addressed: KV blocks 1024.0 "
     "+ the rest 0.3 = 1024.3 TB, but 7.8 GB are available (this machine: 16.0 GB); "
     "--num-gpu-blocks-override 13944 fits"},
    {"a product that overflows",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBlocks{kMost}},
     "18446744073709551615 blocks of 524288 bytes are more than the 2147483647 that can be addressed: KV "
     "blocks 16777216.0 = 16777216.0 TB, but 7.8 GB are available (this machine: 16.0 "
     "GB); --num-gpu-blocks-override 13944 fits"},
    {"bytes beyond any machine",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBytes{kMost}},
     "35184372088831 blocks of 524288 bytes are more than the 2147483647 that can be addressed: KV blocks "
     "16777216.0 = 16777216.0 TB, but 7.8 GB are available (this machine: 16.0 GB); --kv-cache-memory-bytes "
     "6G fits"},
    {"tokens beyond any machine",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvTokens{kMost}},
     "1152921504606846976 blocks of 524288 bytes are more than the 2147483647 that can be addressed: KV "
     "blocks 16777216.0 = 16777216.0 TB, but 7.8 GB are available (this machine: 16.0 "
     "GB); --kv-tokens 223104 fits"},
    {"swap beyond any machine",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBlocks{1}, .swap_bytes = kMost},
     "35184372088831 blocks of 524288 bytes are more than the 2147483647 that can be addressed: KV swap area "
     "16777216.0 = 16777216.0 TB, but 7.8 GB are available (this machine: 16.0 GB); not even one KV block "
     "fits beside the rest: lower --swap-space, or try --weights q4_0, or use a smaller model"},
    // --memory.
    {"--memory caps automatic sizes",
     shape_1b(),
     machine(16384, 8000),
     {.memory_bytes = 2 * kGiB},
     "context 30640 blocks 1915 swap 0"},
    {"--memory refuses",
     shape_1b(),
     machine(16384, 8000),
     {.kv = KvBytes{2 * kGiB}, .memory_bytes = 2 * kGiB},
     "KV blocks 2048 + weights 800 + activations 68 + attention scratch 64 + program and vocabulary 60 + the "
     "rest 35 = 3075 MB, but --memory allows 2048 MB; --kv-cache-memory-bytes 1021M fits"},
    {"--memory beyond the machine",
     shape_1b(),
     machine(16384, 8000),
     {.memory_bytes = 64 * kGiB},
     "--memory 64.0 GB is more than the 16.0 GB that this machine gives; give less, or leave it out"},
    {"--memory beyond the cgroup",
     shape_1b(),
     machine(2048, 1900, "cgroup /a (memory.max)"),
     {.memory_bytes = 4 * kGiB},
     "--memory 4.0 GB is more than the 2048 MB that cgroup /a (memory.max) gives; give less, or leave it "
     "out"},
    {"--memory beyond what is free just now",
     shape_1b(),
     machine(16384, 2000),
     {.kv = KvBytes{2 * kGiB}, .memory_bytes = 8 * kGiB},
     "KV blocks 2048 + weights 800 + activations 68 + attention scratch 64 + program and vocabulary 60 + the "
     "rest 35 = 3075 MB, but 2000 MB are available (this machine: 16384 MB); --kv-cache-memory-bytes 973M "
     "fits"},
    {"--memory too small for anything",
     shape_1b(),
     machine(16384, 8000),
     {.memory_bytes = 100 * kMiB},
     "weights 800 + while loading 105 + activations 68 + attention scratch 64 + program and vocabulary 60 + "
     "logits 31 + the rest 3 = 1131 MB, but --memory allows 100 MB; not even one KV block fits beside the "
     "rest: raise --memory, or try --weights q4_0, or use a smaller model"},
};

INSTANTIATE_TEST_SUITE_P(Rows, PlanTable, testing::ValuesIn(kRows));

// What a refusal says fits, does; and a block more does not.
TEST(Plan, WhatIsSaidToFitFits) {
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto draw = [&](std::uint64_t stream, std::size_t first, std::size_t last) {
      return first + static_cast<std::size_t>(uniform({.seed = 5, .stream = stream, .position = i}) *
                                              static_cast<double>(last - first));
    };
    const Machine where = machine(65536, draw(1, 1200, 12000));
    ModelShape shape = shape_1b();
    shape.largest_tensor_bytes = draw(2, 1, 600) * kMiB;
    Wish wish{.kv = KvTokens{1'000'000},
              .swap_bytes = draw(3, 0, 50) * kMiB,
              .eviction = i % 2 == 0 ? kv::Eviction::kLru : kv::Eviction::kCost,
              .step_tokens = draw(4, 64, 2048)};
    const auto refused = plan(where, shape, wish);
    ASSERT_FALSE(refused.has_value());
    const std::string& text = refused.error().message;
    const std::size_t at = text.find("--kv-tokens ");
    if (at == std::string::npos) {
      EXPECT_THAT(text, testing::HasSubstr("not even one KV block fits"));
      wish.kv = KvTokens{16};
      EXPECT_FALSE(plan(where, shape, wish).has_value()) << text;
      continue;
    }
    const std::size_t tokens = std::stoul(text.substr(at + 12));
    wish.kv = KvTokens{tokens};
    EXPECT_TRUE(plan(where, shape, wish).has_value()) << text;
    wish.kv = KvTokens{tokens + 16};
    EXPECT_FALSE(plan(where, shape, wish).has_value()) << text;
  }
}

// On any machine where one block fits at all.
TEST(Plan, AutomaticSizesFit) {
  std::size_t refused = 0;
  for (std::size_t available = 1000; available < 20000; available += 37)
    for (const std::size_t up_to : {std::size_t{0}, 4 * kGiB}) {
      const Wish automatic{.kv = KvAutomatic{up_to}}, one{.kv = KvBlocks{1}};
      const auto made = plan(machine(65536, available), shape_1b(), automatic);
      EXPECT_EQ(made.has_value(), plan(machine(65536, available), shape_1b(), one).has_value()) << available;
      if (made) {
        EXPECT_LE(made->total_bytes(), available * kMiB);
      }
      refused += !made;
    }
  EXPECT_GT(refused, 0u);
}

TEST(Plan, IsOneSum) {
  const auto made = plan(machine(16384, 8000), shape_1b(),
                         {.kv = KvBytes{kGiB}, .swap_bytes = kGiB, .beside = {{"requests", kMiB, ""}}});
  ASSERT_TRUE(made.has_value());
  std::size_t sum = 0;
  for (const Line& line : made->lines) sum += line.bytes;
  EXPECT_EQ(made->total_bytes(), sum);
  EXPECT_EQ(made->bytes_of("program and vocabulary"), 60 * kMiB);
  EXPECT_EQ(made->bytes_of("weights"), 800 * kMiB);
  EXPECT_EQ(made->bytes_of("KV blocks"), kGiB);
  EXPECT_EQ(made->bytes_of("KV swap area"), kGiB);
  EXPECT_EQ(made->bytes_of("requests"), kMiB);
  EXPECT_EQ(made->bytes_of("logits"), 64u * 128256 * 4);
  EXPECT_EQ(made->bytes_of("while loading"), 0u);  // the pool is larger than any tensor
  const auto small = plan(machine(16384, 8000), shape_1b(), {.kv = KvBlocks{1}, .step_tokens = 64});
  ASSERT_TRUE(small.has_value());
  // 270 MB of the file, where later come the workspace, a block and its index.
  std::size_t later = 0;
  for (const char* tag : {"activations", "logits", "attention scratch", "threads", "KV blocks", "KV index"})
    later += small->bytes_of(tag);
  EXPECT_EQ(small->bytes_of("while loading") + later, 270 * kMiB);
}

TEST(Plan, ReadsAsATable) {
  const auto made = plan(machine(16384, 8000), shape_1b(), {.kv = KvBytes{kGiB}});
  ASSERT_TRUE(made.has_value());
  const std::string table = table_text(*made);
  for (const Line& line : made->lines) EXPECT_THAT(table, testing::HasSubstr("  " + line.tag + " "));
  EXPECT_THAT(table, testing::HasSubstr("KV blocks                     1024.0 MB\n"));
  EXPECT_THAT(table, testing::HasSubstr("available                     8000.0 MB\n"));
  EXPECT_THAT(table, testing::EndsWith("bounded by this machine: 16.0 GB"));
}

TEST(Plan, IsComparedWithTheArenas) {
  const Plan made{.lines = {{"weights", 100, Line::Kind::kArena}, {"threads", 7}}};
  using Arenas = std::vector<platform::TaggedBytes>;
  const auto said = [&](const Arenas& before, const Arenas& after) {
    const Status taken = check_taken(made, before, after);
    return taken ? "taken" : taken.error().message;
  };
  EXPECT_EQ(said({}, {{"weights", 100}}), "taken");
  EXPECT_EQ(said({{"weights", 50}, {"other", 1}}, {{"weights", 150}, {"other", 1}}), "taken");
  EXPECT_THAT(said({}, {{"weights", 99}}),
              testing::HasSubstr("100 bytes of weights were planned and 99 were taken"));
  EXPECT_THAT(said({}, {}), testing::HasSubstr("100 bytes of weights were planned and 0 were taken"));
  EXPECT_THAT(said({}, {{"weights", 100}, {"extra", 5}}),
              testing::HasSubstr("0 bytes of extra were planned and 5 were taken"));
  EXPECT_THAT(said({}, {{"weights", 100}, {"threads", 7}}),
              testing::HasSubstr("0 bytes of threads were planned and 7 were taken"));
}

// From the files of Linux to the plan.
class MachineFiles : public testing::Test, public test::ProcTree {
 protected:
  std::string says(const Wish& wish = {.kv = KvTokens{1'000'000}}) const {
    return outcome(plan(this_machine(4, root()), shape_1b(), wish));
  }
};

TEST_F(MachineFiles, TheMachine) {
  const Machine found = this_machine(4, root());
  EXPECT_EQ(found.resident_bytes, 50 * kMiB);
  EXPECT_EQ(found.threads, 4);
  ASSERT_EQ(found.bounds.size(), 1u);
  EXPECT_EQ(found.available_bytes(), (12288 + 30) * kMiB);  // what is its own is its own already
  EXPECT_THAT(says(), testing::HasSubstr("but 12.0 GB are available (this machine: 16.0 GB); --kv-tokens "));
}

TEST_F(MachineFiles, MemoryMaxOfAService) {
  enter("/system.slice/folio.service");
  group("/system.slice/folio.service", 2048, 100, "inactive_file 52428800\nactive_file 20971520\n");
  EXPECT_THAT(says(),
              testing::HasSubstr(
                  "but 2.0 GB are available (cgroup /system.slice/folio.service (memory.max): 2.0 GB)"));
  EXPECT_EQ(this_machine(4, root()).available_bytes(), 2048 * kMiB);  // its 30 MB are those in use
}

TEST_F(MachineFiles, TheTightestOfNestedGroups) {
  enter("/a/b/c");
  group("/a/b/c", 8192, 40);
  group("/a/b", 3000, 1500);
  group("/a", 4000, 1600);
  EXPECT_THAT(says(), testing::HasSubstr("(cgroup /a/b (memory.max): "));
  EXPECT_EQ(this_machine(4, root()).available_bytes(), 1530 * kMiB);
  EXPECT_THAT(says({.memory_bytes = 3500 * kMiB}), testing::HasSubstr("that cgroup /a/b (memory.max) gives"));
}

// 4 threads reserve 288 MB of addresses, and 170 are mapped without being the process's memory.
TEST_F(MachineFiles, UlimitBoundsAddresses) {
  limits("unlimited", std::to_string(4000 * kMiB));
  EXPECT_EQ(this_machine(4, root()).available_bytes(), (4000 - 200 + 30 - 4 * 72) * kMiB);
  EXPECT_THAT(says(), testing::HasSubstr("(ulimit -v: "));
  limits("unlimited", std::to_string(300 * kMiB));
  EXPECT_EQ(this_machine(4, root()).available_bytes(), 0u);
  EXPECT_THAT(says({}), testing::HasSubstr("not even one KV block fits beside the rest"));
}

}  // namespace
}  // namespace folio::capacity
