#include "app/serve_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "app/cli.h"
#include "support/temp_dir.h"

namespace folio::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ServeOptions serve(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "serve");
  auto parsed = parse_command_line(arguments);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return parsed && std::holds_alternative<ServeOptions>(*parsed) ? std::get<ServeOptions>(*parsed)
                                                                 : ServeOptions{};
}

TEST(ServeOptions, CountsWithSuffixes) {
  for (const auto& [text, count] :
       std::vector<std::pair<std::string, std::size_t>>{{"0", 0},
                                                        {"4096", 4096},
                                                        {"1k", 1000},
                                                        {"1K", 1024},
                                                        {"25.6k", 25'600},
                                                        {"2G", 2147483648},
                                                        {"1.5m", 1'500'000},
                                                        {"1t", 1'000'000'000'000}})
    EXPECT_EQ(parse_count("x", text).value_or(1), count) << text;
  for (const char* bad : {"", "k", "1.5", "-1", "1kk", "1 k", "1e3", "nan", "inf", "0x10",
                          "99999999999999999999", "9999999t"}) {
    const auto refused = parse_count("max-model-len", bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().message, HasSubstr("--max-model-len"));
  }
}

TEST(ServeOptions, MaxLogprobs) {
  EXPECT_EQ(serve({}).max_logprobs, 20u);
  EXPECT_EQ(serve({"--max-logprobs", "5"}).max_logprobs, 5u);
  EXPECT_EQ(serve({"--max-logprobs", "-1"}).max_logprobs, server::kAllLogprobs);
  const auto parsed = parse_command_line(std::vector<std::string>{"serve", "--max-logprobs", "-2"});
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().message, HasSubstr("--max-logprobs"));
}

TEST(ServeOptions, PoolingInTwoSpellings) {
  EXPECT_EQ(serve({}).pooling, engine::Pooling::kLast);
  EXPECT_EQ(serve({"--pooling-type", "mean"}).pooling, engine::Pooling::kMean);
  const ServeOptions o = serve({"--pooler-config", R"({"pooling_type": "MEAN", "normalize": false})"});
  EXPECT_EQ(o.pooling, engine::Pooling::kMean);
  EXPECT_EQ(o.normalize, server::Normalize::kNo);
  for (const char* bad :
       {"MEAN", R"({"pooling_type": "CLS"})", R"({"pooling_type": 3})", R"({"softmax": true})"}) {
    const auto parsed = parse_command_line(std::vector<std::string>{"serve", "--pooler-config", bad});
    ASSERT_FALSE(parsed) << bad;
    EXPECT_THAT(parsed.error().message, HasSubstr("--pooler-config"));
  }
}

TEST(ServeOptions, FlagsReachTheirPlaces) {
  const ServeOptions o = serve({"m.gguf",
                                "--max-model-len",
                                "8k",
                                "--block-size",
                                "32",
                                "--kv-cache-memory-bytes",
                                "2G",
                                "--port",
                                "0",
                                "--api-key",
                                "a",
                                "--api-key",
                                "b",
                                "--served-model-name",
                                "x",
                                "y",
                                "--max-num-seqs",
                                "3",
                                "--no-enable-chunked-prefill",
                                "--scheduling-policy",
                                "priority",
                                "--allowed-origins",
                                R"(["p", "q"])",
                                "--fair-api-keys"});
  EXPECT_EQ(o.model, "m.gguf");
  EXPECT_EQ(o.engine.context_tokens, 8000u);
  EXPECT_EQ(o.engine.block_tokens, 32u);
  EXPECT_EQ(o.kv_bytes, std::size_t{2} << 30);
  EXPECT_THAT(o.api_keys, ElementsAre("a", "b"));
  EXPECT_THAT(o.model_names, ElementsAre("x", "y"));
  EXPECT_THAT(o.allowed_origins, ElementsAre("p", "q"));
  EXPECT_EQ(o.engine.max_num_seqs, 3u);
  EXPECT_EQ(o.engine.chunked_prefill, scheduler::ChunkedPrefill::kOff);
  EXPECT_EQ(o.engine.policy, scheduler::Policy::kPriority);
  EXPECT_EQ(o.engine.fairness, scheduler::Fairness::kTenants);
  EXPECT_EQ(serve({"--max-model-len", "auto"}).engine.context_tokens, 0u);
}

TEST(ServeOptions, TheStrongerSourceReplacesTheWeaker) {
  const test::TempDir folder;
  const std::string path =
      folder.write("c.yaml", "port: 1\nmax_num_seqs: 4\napi-key: [a, b]\ndev-mode: true\n");
  ::setenv("FOLIO_PORT", "2", 1);
  const ServeOptions from_both = serve({"--config", path});
  EXPECT_EQ(from_both.http.port, 2);
  EXPECT_EQ(from_both.engine.max_num_seqs, 4u);
  EXPECT_THAT(from_both.api_keys, ElementsAre("a", "b"));
  EXPECT_EQ(from_both.mode, server::Mode::kDevelopment);
  const ServeOptions from_all = serve({"--config", path, "--port", "3", "--api-key", "c", "--no-dev-mode"});
  EXPECT_EQ(from_all.http.port, 3);
  EXPECT_THAT(from_all.api_keys, ElementsAre("c"));
  EXPECT_EQ(from_all.mode, server::Mode::kNormal);
  ::unsetenv("FOLIO_PORT");
}

TEST(ServeOptions, ForeignFlagsWarnOrAreRefusedByName) {
  const ServeOptions o = serve({"--swap-space", "4", "--enforce-eager", "--enable-prefix-caching",
                                "--tensor-parallel-size", "1", "--logprobs-mode", "raw_logprobs"});
  ASSERT_EQ(o.warnings.size(), 2u);
  EXPECT_THAT(o.warnings[0], HasSubstr("--swap-space"));
  for (const std::vector<std::string>& refused :
       std::vector<std::vector<std::string>>{{"serve", "--no-enable-prefix-caching"},
                                             {"serve", "--pipeline-parallel-size", "2"},
                                             {"serve", "--logprobs-mode", "processed_logits"},
                                             {"serve", "--watermark", "0.1"},
                                             {"serve", "--kv-transfer-config", "{}"}}) {
    const auto parsed = parse_command_line(refused);
    ASSERT_FALSE(parsed) << refused[1];
    EXPECT_THAT(parsed.error().message, HasSubstr(refused[1]));
  }
}

TEST(ServeOptions, NoFlagTwiceAndEveryOneExplained) {
  ServeOptions options;
  std::set<std::string_view> names;
  for (const ServeFlag& flag : serve_flags(options)) {
    EXPECT_TRUE(names.insert(flag.name).second) << flag.name;
    EXPECT_FALSE(flag.help.empty()) << flag.name;
  }
}

}  // namespace
}  // namespace folio::app
