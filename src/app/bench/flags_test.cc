// The command line of `folio bench`, and what is run for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/bench/plan.h"
#include "app/bench/report.h"
#include "app/cli.h"

namespace folio::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Result<Invocation> parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  return parse_command_line(arguments);
}

BenchOptions bench(std::vector<std::string> arguments) {
  auto parsed = parse(std::move(arguments));
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return parsed && std::holds_alternative<BenchOptions>(*parsed) ? std::get<BenchOptions>(*parsed)
                                                                 : BenchOptions{};
}

TEST(BenchFlags, Defaults) {
  const BenchOptions options = bench({});
  EXPECT_EQ(options.model, "");
  EXPECT_THAT(options.prompt, ElementsAre(512u));
  EXPECT_THAT(options.generate, ElementsAre(64u));
  EXPECT_THAT(options.depth, ElementsAre(0u));
  EXPECT_THAT(options.streams, ElementsAre(1u));
  EXPECT_THAT(options.threads, ElementsAre(0));
  EXPECT_EQ(options.repetitions, 5u);
  EXPECT_EQ(options.format, BenchFormat::kText);
  EXPECT_EQ(options.mode, BenchMode::kRuns);
  EXPECT_EQ(options.probing, Probing::kMeasure);
}

TEST(BenchFlags, ListsReplaceTheDefaults) {
  const BenchOptions options = bench({"m.gguf",
                                      "-p",
                                      "128,512",
                                      "--gen=0,32",
                                      "-d",
                                      "0,4096",
                                      "-b",
                                      "1,8,64",
                                      "--shared-prefix",
                                      "on,off",
                                      "--kv-cache-dtype",
                                      "auto,bf16,f32",
                                      "--activations",
                                      "mixed,int16,f32",
                                      "-t",
                                      "1,2",
                                      "-r",
                                      "21",
                                      "--json",
                                      "--no-probe"});
  EXPECT_EQ(options.model, "m.gguf");
  EXPECT_THAT(options.prompt, ElementsAre(128u, 512u));
  EXPECT_THAT(options.generate, ElementsAre(0u, 32u));
  EXPECT_THAT(options.depth, ElementsAre(0u, 4096u));
  EXPECT_THAT(options.streams, ElementsAre(1u, 8u, 64u));
  EXPECT_THAT(options.shared_prefix, ElementsAre(SharedPrefix::kOn, SharedPrefix::kOff));
  EXPECT_THAT(options.kv_types, ElementsAre(std::nullopt, kernels::KvType::kBF16, kernels::KvType::kF32));
  EXPECT_THAT(options.arithmetic, ElementsAre(kernels::Arithmetic::kMixed, kernels::Arithmetic::kInt16,
                                              kernels::Arithmetic::kFloat));
  EXPECT_THAT(options.threads, ElementsAre(1, 2));
  EXPECT_EQ(options.repetitions, 21u);
  EXPECT_EQ(options.format, BenchFormat::kJson);
  EXPECT_EQ(options.probing, Probing::kSkip);
  EXPECT_EQ(bench({"--csv"}).format, BenchFormat::kCsv);
  EXPECT_EQ(bench({"--overview", "--json"}).mode, BenchMode::kOverview);
  EXPECT_EQ(bench({"--probe-only"}).mode, BenchMode::kProbeOnly);
}

TEST(BenchFlags, WhatHoldsForAllRunsReachesTheEngine) {
  const BenchOptions options =
      bench({"--eviction", "cost", "--block-size", "32", "--max-num-batched-tokens", "64", "-t", "1,2"});
  EXPECT_EQ(options.engine.eviction, kv::Eviction::kCost);
  EXPECT_EQ(engine_fields(options.engine).dump(),
            R"({"block_tokens":32,"eviction":"cost","step_tokens":64})");
  EXPECT_THAT(options.threads, ElementsAre(1, 2));
}

struct Refusal {
  std::vector<std::string> arguments;
  const char* names;
  const char* says;
};

TEST(BenchFlags, EveryRefusalIsOneSentenceThatNamesTheFlag) {
  const Refusal refusals[] = {
      {{"-p", "x"}, "--prompt", "'x'"},
      {{"-p", "1,,2"}, "--prompt", "''"},
      {{"-p", "-1"}, "--prompt", "from 0"},
      {{"-p", "16777217"}, "--prompt", "16777216"},
      {{"-n", "1.5"}, "--gen", "whole number"},
      {{"-d", "99999999999999999999"}, "--depth", "whole number"},
      {{"-b", "0"}, "--batch", "from 1 to 256"},
      {{"-b", "1,257"}, "--batch", "'257'"},
      {{"--shared-prefix", "yes"}, "--shared-prefix", "off, on"},
      {{"--kv-cache-dtype", "f16,q8"}, "--kv-cache-dtype", "'q8'"},
      {{"--activations", "int17"}, "--activations", "did you mean int16"},
      {{"--activations", "int8"}, "--activations", "mixed, int16, f32"},
      {{"-t", "257"}, "--threads", "from 0 to 256"},
      {{"-r", "0"}, "--repetitions", "from 1 to 1000"},
      {{"--json", "--csv"}, "--csv", "one of --json and --csv"},
      {{"--overview", "--probe-only"}, "--probe-only", "give one of --overview and --probe-only"},
      {{"--engine", "m.gguf"}, "--engine", "./dev bench engine"},
      {{"--slots"}, "--slots", "./dev bench crowd"},
      {{"--paging"}, "--paging", "./dev bench paging"},
      {{"--trace", "t.jsonl"}, "--trace", "./dev bench trace"},
      {{"--probe-only", "m.gguf"}, "--probe-only", "no model"},
      {{"--probe-only", "--no-probe"}, "--no-probe", "one of them"},
      {{"--overview", "--no-probe"}, "--overview", "--no-probe"},
      {{"--overview", "--csv"}, "--csv", "--json"},
      {{"--promt", "1"}, "--promt", "did you mean --prompt"},
      {{"-p"}, "--prompt", "one value"},
  };
  for (const Refusal& refusal : refusals) {
    const auto parsed = parse(refusal.arguments);
    ASSERT_FALSE(parsed) << refusal.arguments.front();
    EXPECT_THAT(parsed.error().message, HasSubstr(refusal.names));
    EXPECT_THAT(parsed.error().message, HasSubstr(refusal.says));
    EXPECT_EQ(parsed.error().message.find('\n'), std::string::npos);
  }
  std::string many = "1";
  for (int i = 0; i < 64; ++i) many += ",1";
  EXPECT_THAT(parse({"-p", many}).error().message, HasSubstr("at most 64"));
}

model::ModelConfig config(std::uint32_t context) {
  model::ModelConfig config;
  config.context = config.max_context = context;
  return config;
}

TEST(BenchPlan, RunsEveryCombination) {
  BenchOptions options;
  options.prompt = {0, 128};
  options.generate = {0, 32};
  options.depth = {0, 100};
  options.streams = {1, 8};
  options.shared_prefix = {SharedPrefix::kOff, SharedPrefix::kOn};
  options.threads = {1, 2};
  options.kv_types = {kernels::KvType::kF32, kernels::KvType::kBF16};
  const auto plans = plan_bench(options, config(4096));
  ASSERT_TRUE(plans) << plans.error().message;
  ASSERT_THAT(*plans, SizeIs(4));  // settings
  EXPECT_EQ((*plans)[1].setting.threads, 1);
  EXPECT_EQ((*plans)[1].setting.kv_type, kernels::KvType::kBF16);
  const BenchPlan& plan = plans->front();
  // Prompt and generation without (0, 0): 3; depth 0 with two batches, depth 100 with two and sharing or
  // not: 6.
  ASSERT_THAT(plan.shapes, SizeIs(3 * 6));
  for (const RunShape& shape : plan.shapes) {
    EXPECT_GT(shape.prompt + shape.generate, 0u);
    EXPECT_TRUE(shape.depth == 0 || shape.depth == 112) << "whole blocks";
    EXPECT_TRUE(shape.depth > 0 || shape.shared == SharedPrefix::kOff);
  }
  EXPECT_EQ(plan.context_tokens, 512u) << "at least a whole step";
  EXPECT_EQ(plan.kv_tokens, 8u * 288);  // 112 + 128 + 32 + 2 tokens in whole blocks
}

TEST(BenchPlan, BlocksAndStepsAreTheEngines) {
  BenchOptions options;
  options.prompt = {8};
  options.generate = {0};
  options.depth = {100};
  options.engine.block_tokens = 64;
  options.engine.step_tokens = 1024;
  const auto plans = plan_bench(options, config(4096));
  ASSERT_TRUE(plans) << plans.error().message;
  EXPECT_EQ(plans->front().shapes.front().depth, 128u);
  EXPECT_EQ(plans->front().context_tokens, 1024u);
  EXPECT_EQ(plans->front().kv_tokens, 192u);  // 128 + 8 + 1 tokens in whole blocks
}

TEST(BenchPlan, RefusesWhatCannotRun) {
  BenchOptions options;
  const auto longest = plan_bench(options, config(578));
  ASSERT_TRUE(longest) << longest.error().message;
  const auto too_long = plan_bench(options, config(577));
  ASSERT_FALSE(too_long);
  EXPECT_THAT(too_long.error().message, HasSubstr("needs a context of 578, the model takes 577"));
  options.prompt = options.generate = {0};
  EXPECT_THAT(plan_bench(options, config(4096)).error().message, HasSubstr("nothing to measure"));
  options.prompt = {1};
  options.shared_prefix = {SharedPrefix::kOn};
  EXPECT_THAT(plan_bench(options, config(4096)).error().message, HasSubstr("--depth above 0"));
  options.shared_prefix = {SharedPrefix::kOff};
  options.prompt = options.generate = options.streams = std::vector<std::size_t>(11, 4);
  EXPECT_THAT(plan_bench(options, config(4096)).error().message, HasSubstr("1331 combinations"));
}

// One matrix of 1 multiply-add and 1 byte, 1 byte of KV per position, one operation per position seen.
ModelWork unit_model() {
  ModelWork model;
  model.layers = {{.multiply_adds = 1, .bytes = 1, .kind = OperationKind::kInt8, .planes = 2}};
  model.attention_operations = 1;
  model.kv_token_bytes = 1;
  return model;
}

TEST(BenchPlan, CountsPrefill) {
  // 1,200 tokens behind 100 in steps of 512: three steps, of which the rows see 101 + ... + 1300.
  const WorkTotals one = count_prefill(unit_model(), {.prompt = 1200, .depth = 100}, 512, {});
  const double seen = 1300.0 * 1301 / 2 - 100.0 * 101 / 2;
  EXPECT_NEAR(one.weight_bytes, 3, 1e-9);
  EXPECT_NEAR(one.nominal_operations, 2 * 1200 + seen, 1e-6);
  EXPECT_NEAR(one.executed_operations, 4 * 1200 + seen, 1e-6);
  EXPECT_NEAR(one.kv_bytes, 612 + 1124 + 1300, 1e-9);
  // Four streams of 16 in one step, each behind its own 64, or all behind the same.
  RunShape shape{.prompt = 16, .depth = 64, .streams = 4};
  EXPECT_NEAR(count_prefill(unit_model(), shape, 512, {}).kv_bytes, 4 * 80, 1e-9);
  shape.shared = SharedPrefix::kOn;
  EXPECT_NEAR(count_prefill(unit_model(), shape, 512, {}).kv_bytes, 64 + 4 * 16, 1e-9);
}

TEST(BenchPlan, CountsDecode) {
  // The clock starts with the row at position 100 + 20 + 1, which sees 122 positions.
  RunShape shape{.prompt = 20, .generate = 3, .depth = 100, .streams = 2};
  const WorkTotals own = count_decode(unit_model(), shape, {});
  EXPECT_NEAR(own.weight_bytes, 3, 1e-9);
  EXPECT_NEAR(own.kv_bytes, 2 * (122 + 123 + 124), 1e-9);
  EXPECT_NEAR(own.nominal_operations, 2 * 2 * 3 + 2 * (122 + 123 + 124), 1e-9);
  shape.shared = SharedPrefix::kOn;
  const WorkTotals shared = count_decode(unit_model(), shape, {});
  EXPECT_NEAR(shared.kv_bytes, 3 * 100 + 2 * (22 + 23 + 24), 1e-9);
  EXPECT_NEAR(shared.nominal_operations, own.nominal_operations, 1e-9) << "every row still attends to all";
}

TEST(BenchReport, CsvHasAColumnForEveryFieldOfTheJson) {
  BenchRow row;
  row.tokens_per_s = {1, 2, 3};
  row.seconds = 2;
  const std::string header = csv_header(), line = csv_line(row);
  EXPECT_EQ(std::ranges::count(header, ','), std::ranges::count(line, ','));
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(header, ',')) + 1, row_fields(row).size());
  EXPECT_THAT(line, testing::StartsWith("prefill,0,"));
  EXPECT_THAT(line, testing::EndsWith(",,,,\n")) << "limits that were not measured are empty";
  EXPECT_TRUE(row_fields(row)["share_of_limit"].is_null());
  EXPECT_EQ(row_fields(row)["tokens_per_s"], 2);
}

TEST(BenchReport, SharesAreTimesAtTheLimitOverTimesTaken) {
  BenchRow row;
  row.tokens_per_s = {50};
  row.seconds = 2;
  row.work = {.nominal_operations = 10,
              .executed_operations = 20,
              .weight_bytes = 90,
              .kv_bytes = 10,
              .limit_s = 1,
              .nominal_limit_s = 0.5};
  row.bandwidth = 200;
  const auto fields = row_fields(row);
  EXPECT_EQ(fields["share_of_limit"], 0.5);
  EXPECT_EQ(fields["share_of_nominal_limit"], 0.25);
  EXPECT_EQ(fields["limit_tokens_per_s"], 100);
  EXPECT_EQ(fields["bytes_per_s"], 50);
  EXPECT_EQ(fields["share_of_bandwidth"], 0.25);
  EXPECT_EQ(fields["executed_operations_per_s"], 10);
  EXPECT_THAT(table_line(row), HasSubstr("50 %"));
}

}  // namespace
}  // namespace folio::app
