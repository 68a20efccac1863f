#include "app/serve/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>

#include "app/cli.h"
#include "app/flag_kinds.h"
#include "app/serve/vllm_spelling.h"
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
  EXPECT_EQ(serve({"--max-logprobs", "-1"}).max_logprobs, api::kAllLogprobs);
  const auto parsed = parse_command_line(std::vector<std::string>{"serve", "--max-logprobs", "-2"});
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().message, HasSubstr("--max-logprobs"));
}

TEST(ServeOptions, PoolingInTwoSpellings) {
  EXPECT_EQ(serve({}).pooling, engine::Pooling::kLast);
  EXPECT_EQ(serve({"--pooling-type", "mean"}).pooling, engine::Pooling::kMean);
  const ServeOptions o = serve({"--pooler-config", R"({"pooling_type": "MEAN", "normalize": false})"});
  EXPECT_EQ(o.pooling, engine::Pooling::kMean);
  EXPECT_EQ(o.normalize, api::Normalize::kNo);
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
  EXPECT_THAT(o.gate.api_keys, ElementsAre("a", "b"));
  EXPECT_THAT(o.model_names, ElementsAre("x", "y"));
  EXPECT_THAT(o.gate.allowed_origins, ElementsAre("p", "q"));
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
  EXPECT_THAT(from_both.gate.api_keys, ElementsAre("a", "b"));
  EXPECT_EQ(from_both.mode, server::Mode::kDevelopment);
  const ServeOptions from_all = serve({"--config", path, "--port", "3", "--api-key", "c", "--no-dev-mode"});
  EXPECT_EQ(from_all.http.port, 3);
  EXPECT_THAT(from_all.gate.api_keys, ElementsAre("c"));
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

// One sentence, or "" where the words are accepted.
std::string refusal(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "serve");
  const auto parsed = parse_command_line(arguments);
  return parsed ? "" : parsed.error().message;
}

// Of vLLM's `serve`.
const std::vector<std::string> kWithValue = {"block-size",
                                             "kv-cache-dtype",
                                             "kv-cache-dtype-skip-layers",
                                             "kv-cache-memory-bytes",
                                             "gpu-memory-utilization",
                                             "num-gpu-blocks-override",
                                             "prefix-caching-hash-algo",
                                             "prefix-match-unit",
                                             "prefix-cache-retention-interval",
                                             "kv-offloading-size",
                                             "kv-offloading-backend",
                                             "kv-transfer-config",
                                             "kv-events-config",
                                             "max-model-len",
                                             "max-num-seqs",
                                             "max-num-batched-tokens",
                                             "max-num-scheduled-tokens",
                                             "max-num-queued-reqs",
                                             "max-num-queued-tokens",
                                             "long-prefill-token-threshold",
                                             "scheduling-policy",
                                             "watermark",
                                             "prefill-schedule-interval",
                                             "stream-interval",
                                             "mamba-cache-mode",
                                             "mamba-block-size",
                                             "mamba-cache-dtype",
                                             "mamba-ssm-cache-dtype",
                                             "replayssm-buffer-len",
                                             "kv-cache-metrics-sample",
                                             "tensor-parallel-size",
                                             "pipeline-parallel-size",
                                             "data-parallel-size",
                                             "decode-context-parallel-size",
                                             "speculative-config",
                                             "spec-method",
                                             "spec-model",
                                             "spec-tokens",
                                             "structured-outputs-config",
                                             "reasoning-parser",
                                             "tool-call-parser",
                                             "seed",
                                             "dtype",
                                             "quantization",
                                             "load-format",
                                             "served-model-name",
                                             "max-logprobs",
                                             "logprobs-mode",
                                             "generation-config",
                                             "chat-template",
                                             "host",
                                             "port",
                                             "uds",
                                             "api-key",
                                             "otlp-traces-endpoint",
                                             "show-hidden-metrics-for-version",
                                             "swap-space",
                                             "preemption-mode",
                                             "max-num-partial-prefills",
                                             "max-long-partial-prefills",
                                             "num-scheduler-steps",
                                             "device",
                                             "num-lookahead-slots",
                                             "max-seq-len-to-capture",
                                             "cpu-offload-gb",
                                             "offload-backend",
                                             "cpu-offload-params",
                                             "compilation-config",
                                             "api-server-count",
                                             "allowed-origins",
                                             "pooler-config"};
const std::vector<std::string> kSwitches = {"enable-prefix-caching",
                                            "enable-chunked-prefill",
                                            "scheduler-reserve-full-isl",
                                            "async-scheduling",
                                            "disable-hybrid-kv-cache-manager",
                                            "disable-sliding-window",
                                            "disable-cascade-attn",
                                            "disable-chunked-mm-input",
                                            "kv-sharing-fast-prefill",
                                            "use-replayssm",
                                            "kv-cache-metrics",
                                            "enable-auto-tool-choice",
                                            "enable-prompt-tokens-details",
                                            "enable-request-id-headers",
                                            "disable-log-stats",
                                            "calculate-kv-scales",
                                            "use-v2-block-manager",
                                            "enforce-eager"};

TEST(ServeOptions, EveryFlagThatVllmsUsersMayGiveIsKnown) {
  for (const std::string& name : kWithValue) {
    const std::string said = refusal({"--" + name, "-7"});
    EXPECT_EQ(said.find("is no flag"), std::string::npos) << said;
    if (!said.empty()) {
      EXPECT_THAT(said, HasSubstr("--" + name));
    }
  }
  for (const std::string& name : kSwitches)
    for (const std::string& word : {"--" + name, "--no-" + name}) {
      const std::string said = refusal({word});
      EXPECT_EQ(said.find("is no flag"), std::string::npos) << said;
      if (!said.empty()) {
        EXPECT_THAT(said, HasSubstr(word));
      }
    }
}

TEST(ServeOptions, OtherSpellingsOfVllm) {
  const ServeOptions o =
      serve({"--max_num_seqs", "8", "--kv_cache_memory_bytes=2G", "-tp", "1", "-dcp=1", "-O3", "-cc", "{}",
             "-asc", "2", "--no-enable_chunked_prefill", "--api_key", "-tp"});
  EXPECT_EQ(o.engine.max_num_seqs, 8u);
  EXPECT_EQ(o.kv_bytes, std::size_t{2} << 30);
  EXPECT_EQ(o.engine.chunked_prefill, scheduler::ChunkedPrefill::kOff);
  EXPECT_THAT(o.gate.api_keys, ElementsAre("-tp")) << "a value is no flag";
  EXPECT_EQ(o.warnings.size(), 3u);
  EXPECT_EQ(refusal({"-tp", "2"}), refusal({"--tensor-parallel-size", "2"}));
  EXPECT_THAT(refusal({"-q", "fp8"}), HasSubstr("--quantization is refused"));
  EXPECT_THAT(refusal({"--max_num_sequences", "8"}), HasSubstr("'--max-num-sequences' is no flag"));
  EXPECT_EQ(serve({"-c", "512", "-t", "2", "-m", "x_y"}).model, "x_y") << "folio's own short flags";
}

TEST(ServeOptions, JsonInParts) {
  const ServeOptions o = serve({"--pooler-config.pooling_type", "MEAN", "--pooler_config.normalize=false"});
  EXPECT_EQ(o.pooling, engine::Pooling::kMean);
  EXPECT_EQ(o.normalize, api::Normalize::kNo);
  EXPECT_EQ(
      serve({"--pooler-config", R"({"pooling_type": "MEAN"})", "--pooler-config.pooling_type=LAST"}).pooling,
      engine::Pooling::kLast)
      << "the later wins";
  for (const char* name : {"kv-transfer-config", "kv-events-config", "speculative-config",
                           "structured-outputs-config", "override-generation-config"}) {
    const std::string flag = "--" + std::string(name);
    EXPECT_THAT(refusal({flag, "{}"}), HasSubstr(flag + " is refused"));
    EXPECT_EQ(refusal({flag + ".a.b", "x"}), refusal({flag, "{}"}));
    EXPECT_EQ(refusal({flag + ".a+=x,y"}), refusal({flag, "{}"}));
  }
  EXPECT_EQ(refusal({"-sc.method", "ngram"}), refusal({"--speculative-config", "{}"}));
  EXPECT_EQ(
      serve({"-cc.mode", "3", "--compilation-config.pass_config.x=true", "-O.level", "1"}).warnings.size(),
      1u);
  EXPECT_THAT(refusal({"--block-size.x", "1"}), HasSubstr("--block-size takes no JSON"));
  EXPECT_THAT(refusal({"--pooler-config.normalize"}),
              HasSubstr("--pooler-config.normalize is to be followed by"));
  EXPECT_THAT(refusal({"--poolr-config.x", "1"}), HasSubstr("is no flag"));
  EXPECT_THAT(refusal({"--pooler-config", "{", "--pooler-config.normalize", "true"}), HasSubstr("is none"));
}

TEST(ServeOptions, JsonIsMergedAsVllmDoes) {
  EXPECT_EQ(json_of_part("x.a.b", "1"), R"({"a":{"b":1}})");
  EXPECT_EQ(json_of_part("x.a", "1.5.2"), R"({"a":"1.5.2"})");
  EXPECT_EQ(json_of_part("x.a+", "1,two"), R"({"a":["1","two"]})");
  const std::vector<std::string> texts = {R"({"a":{"b":1},"c":[1]})", R"({"a":{"d":2},"c":[2],"e":3})",
                                          R"({"e":4})"};
  EXPECT_EQ(merge_json("x", texts).value(), R"({"a":{"b":1,"d":2},"c":[1,2],"e":4})");
}

TEST(ServeOptions, FilesSayJsonAsMaps) {
  const test::TempDir folder;
  const auto from = [&](const std::string& text) {
    return parse_command_line(std::vector<std::string>{"serve", "--config", folder.write("c.yaml", text)});
  };
  for (const char* text : {"pooler-config:\n  pooling_type: MEAN\n  normalize: false\n",
                           "pooler_config.pooling_type: MEAN\npooler-config.normalize: false\n",
                           "pooler-config: {pooling_type: \"MEAN\", normalize: false}\n"}) {
    const auto parsed = from(text);
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(std::get<ServeOptions>(*parsed).pooling, engine::Pooling::kMean);
    EXPECT_EQ(std::get<ServeOptions>(*parsed).normalize, api::Normalize::kNo);
  }
  EXPECT_THAT(from("pooler-config: {normalize: \"false\"}\n").error().message, HasSubstr("normalize"))
      << "a text is no truth value";
  EXPECT_THAT(from("kv-transfer-config:\n  kv_connector: X\n").error().message,
              HasSubstr("--kv-transfer-config is refused"));
  EXPECT_EQ(std::get<ServeOptions>(*from("no-enable-chunked-prefill: true\n")).engine.chunked_prefill,
            scheduler::ChunkedPrefill::kOff);
  EXPECT_THAT(from("port:\n").error().message, HasSubstr("'port' is followed by no value"));
  EXPECT_THAT(from("pooler-config: " + std::string(100, '[') + std::string(100, ']') + "\n").error().message,
              HasSubstr("nested"));
}

// What --help shows is what the file and the environment take: one row, three spellings.
TEST(ServeOptions, EveryRowIsAKeyOfTheFileAndAVariable) {
  ServeOptions described;
  const test::TempDir folder;
  for (const Flag& flag : describe_serve(described).flags) {
    if (flag.group.empty() || flag.name() == "config") continue;
    const std::string name(flag.name());
    std::string variable = "FOLIO_" + name;
    for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
    const bool refuses_words = flag.type == "N" || flag.takes == Takes::kNothing || !flag.choices().empty();
    if (!refuses_words || flag.type.ends_with("PATH")) continue;
    const std::string by_file = refusal({"--config", folder.write("c.yaml", name + ": no such value\n")});
    EXPECT_THAT(by_file, HasSubstr("c.yaml: --" + name));
    ::setenv(variable.c_str(), "no such value", 1);
    EXPECT_THAT(refusal({}), HasSubstr("environment: --" + name));
    ::unsetenv(variable.c_str());
  }
}

TEST(ServeOptions, FlagsOutsideHelpAreNoVariables) {
  ::setenv("FOLIO_WATERMARK", "0.5", 1);
  EXPECT_EQ(refusal({}), "");
  ::unsetenv("FOLIO_WATERMARK");
}

TEST(ServeOptions, AnEmptyHostIsNotAllNetworks) {
  const std::vector<std::string> words = {"serve", "--host", ""};
  const auto refused = parse_command_line(words);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("--host takes an address"));
}

TEST(ServeOptions, WhatIsSaidOfKeysNeedsKeys) {
  for (const char* flag : {"--fair-api-keys", "--isolate-api-keys"}) {
    const std::vector<std::string> words = {"serve", flag};
    const auto refused = parse_command_line(words);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr(std::string(flag) + " does nothing without API keys"));
    EXPECT_EQ(serve({flag, "--api-key", "k"}).gate.api_keys.size(), 1u);
  }
}

TEST(ServeOptions, TheLaterHalfOfASwitchWins) {
  EXPECT_EQ(serve({"--dev-mode", "--no-dev-mode"}).mode, server::Mode::kNormal);
  EXPECT_EQ(serve({"--no-dev-mode", "--dev-mode"}).mode, server::Mode::kDevelopment);
}

}  // namespace
}  // namespace folio::app
