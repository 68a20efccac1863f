#include "app/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "app/commands.h"
#include "app/completion.h"
#include "app/shared_flags.h"

namespace folio::app {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Invocation> parse(std::vector<std::string> arguments) { return parse_command_line(arguments); }

RunOptions run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "run");
  auto parsed = parse(arguments);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return parsed && std::holds_alternative<RunOptions>(*parsed) ? std::get<RunOptions>(*parsed) : RunOptions{};
}

std::string refusal(std::vector<std::string> arguments) {
  const auto parsed = parse(std::move(arguments));
  return parsed ? "" : parsed.error().message;
}

TEST(CommandLine, RunTakesLlamaCppsShortFlags) {
  const RunOptions options = run({"-m", "a.gguf", "-p", "hi", "-n", "7", "-c", "128", "-t", "3"});
  EXPECT_EQ(options.model, "a.gguf");
  EXPECT_EQ(options.prompt, "hi");
  EXPECT_EQ(options.max_tokens, 7u);
  EXPECT_EQ(options.engine.context_tokens, 128u);
  EXPECT_EQ(options.engine.threads, 3);
}

TEST(CommandLine, TheModelMayBePositional) {
  EXPECT_EQ(run({"a.gguf", "-p", "x"}).model, "a.gguf");
  EXPECT_EQ(run({"-p", "x", "a.gguf"}).model, "a.gguf");
  EXPECT_NE(refusal({"run", "a", "b"}), "");
}

TEST(CommandLine, EngineFlagsReachTheEngine) {
  const RunOptions options = run({"--kv-cache-dtype", "bf16", "--no-kv-cache", "--block-size", "32",
                                  "--weights", "q4_0", "--activations", "f32", "--kv-tokens", "4096"});
  EXPECT_EQ(options.engine.kv_type, kernels::KvType::kBF16);
  EXPECT_EQ(options.engine.kv_use, engine::KvUse::kRecompute);
  EXPECT_EQ(options.engine.block_tokens, 32u);
  EXPECT_EQ(options.engine.quantize, kernels::TensorType::kQ4_0);
  EXPECT_EQ(options.engine.arithmetic, kernels::Arithmetic::kFloat);
  EXPECT_EQ(std::get<capacity::KvTokens>(options.engine.kv_size).tokens, 4096u);
  EXPECT_EQ(run({"--kv-cache-dtype", "auto"}).engine.kv_type, std::nullopt);
  EXPECT_EQ(run({"--weights", "as-stored"}).engine.quantize, std::nullopt);
}

TEST(CommandLine, SamplingFlags) {
  const RunOptions options =
      run({"--temp", "0.5", "--top-k", "3", "--top-p=0.25", "--min-p", "0.125", "--repeat-penalty", "1.5",
           "--frequency-penalty", "-1", "--presence-penalty", "-0.5", "--seed", "18446744073709551615"});
  EXPECT_EQ(options.sampling.temperature, 0.5F);
  EXPECT_EQ(options.sampling.top_k, 3);
  EXPECT_EQ(options.sampling.top_p, 0.25F);
  EXPECT_EQ(options.sampling.min_p, 0.125F);
  EXPECT_EQ(options.sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(options.sampling.frequency_penalty, -1.0F);
  EXPECT_EQ(options.sampling.presence_penalty, -0.5F);
  EXPECT_EQ(options.sampling.seed, 18446744073709551615u);
  EXPECT_EQ(run({"--seed", "-1"}).sampling.seed, std::nullopt);
  EXPECT_EQ(run({"-n", "-1"}).max_tokens, std::nullopt);
}

TEST(CommandLine, StopMayBeGivenSeveralTimesAndEatsNothingElse) {
  const RunOptions options = run({"--stop", "a", "--stop", "--b", "model.gguf"});
  EXPECT_THAT(options.stop, ElementsAre("a", "--b"));
  EXPECT_EQ(options.model, "model.gguf");
}

TEST(CommandLine, ValuesMayBeEmptyOrLookLikeFlags) {
  EXPECT_EQ(run({"--raw", "-p", ""}).prompt, "");
  EXPECT_EQ(run({"--raw", "--prompt=", "m.gguf"}).prompt, "");
  EXPECT_EQ(run({"--raw", "--prompt=", "m.gguf"}).model, "m.gguf");
  EXPECT_EQ(run({"-p", "--help"}).prompt, "--help");
  EXPECT_EQ(run({"-p", "-1"}).prompt, "-1");
  EXPECT_EQ(run({"-p", "[a, b]"}).prompt, "[a, b]");
  EXPECT_EQ(run({"-p", "first", "-p", "last"}).prompt, "last");
}

struct Refusal {
  std::vector<std::string> arguments;
  const char* names;  // what the sentence must name
  const char* says;
};

TEST(CommandLine, EveryRefusalNamesTheFlagAndWhatItTakes) {
  const Refusal refusals[] = {
      {{"run", "--temp", "x"}, "--temperature", "from 0 to 1000"},
      {{"run", "--temp", "nan"}, "--temperature", "from 0 to 1000"},
      {{"run", "--temp", "-1"}, "--temperature", "from 0 to 1000"},
      {{"run", "--temp", "1.5x"}, "--temperature", "'1.5x'"},
      {{"run", "--top-k", "-2"}, "--top-k", "0 for no limit"},
      {{"run", "--top-k", "2.5"}, "--top-k", "whole number"},
      {{"run", "--top-p", "0"}, "--top-p", "above 0"},
      {{"run", "--top-p", "1.01"}, "--top-p", "at most 1"},
      {{"run", "--min-p", "2"}, "--min-p", "from 0 to 1"},
      {{"run", "--repetition-penalty", "0"}, "--repetition-penalty", "from 0.001 to 1000"},
      {{"run", "--frequency-penalty", "3"}, "--frequency-penalty", "from -2 to 2"},
      {{"run", "--presence-penalty", "-3"}, "--presence-penalty", "from -2 to 2"},
      {{"run", "--seed", "18446744073709551616"}, "--seed", "from 0 to 18446744073709551615"},
      {{"run", "-n", "0"}, "--max-tokens", "from 1"},
      {{"run", "-n", "-2"}, "--max-tokens", "-1 for no limit"},
      {{"run", "-c", "99999999999"}, "--ctx-size", "16777216"},
      {{"run", "-t", "257"}, "--threads", "from 0 to 256"},
      {{"run", "--block-size", "24"}, "--block-size", "multiple of 16"},
      {{"run", "--kv-cache-dtype", "q8"}, "--kv-cache-dtype", "auto, f32, f16, bf16"},
      {{"run", "--weights", "q8"}, "--weights", "as-stored, q8_0, q4_0"},
      {{"run", "--activations", "bf16"}, "--activations", "mixed, int16, f32"},
      {{"run", "--activations", "int8"}, "--activations", "mixed, int16, f32"},
      {{"run", "--stop", ""}, "--stop", "not empty"},
      {{"run", "--stop"}, "--stop", "one value"},
      {{"run", "--raw=1"}, "--raw", "no value"},
      {{"run", "-p", "a", "-f", "b"}, "--file", "one of them"},
      {{"run", "--raw", "--system", "x"}, "--system", "--raw"},
      {{"run", "--tempreature", "1"}, "--tempreature", "did you mean --temperature"},
      {{"run", "-p", "a", "b", "c"}, "'c'", "quotes"},
      {{"rnu"}, "'rnu'", "did you mean run"},
      {{"--verison"}, "--verison", "did you mean --version"},
      {{"inspect", "--only", "tensor"}, "--only", "did you mean tensors"},
      {{"completion", "csh"}, "csh", "bash, zsh and fish"},
      {{"completion"}, "completion", "bash, zsh or fish"},
  };
  for (const Refusal& r : refusals) {
    const std::string message = refusal(r.arguments);
    EXPECT_THAT(message, HasSubstr(r.names));
    EXPECT_THAT(message, HasSubstr(r.says));
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

// The options of the engine that a command line comes to, whatever its command.
engine::EngineOptions engine_of(std::vector<std::string> arguments) {
  const auto parsed = parse(arguments);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  if (!parsed) return {};
  return std::visit(
      [](const auto& options) -> engine::EngineOptions {
        if constexpr (requires { options.engine; }) return options.engine;
        return {};
      },
      *parsed);
}

std::vector<std::string> base_of(const std::string& command) {
  if (command == "batch") return {"batch", "in.jsonl", "out.jsonl"};
  return {command};
}

TEST(CommandLine, EvictionReachesTheEngineOfEveryCommandThatCaches) {
  for (const char* command : {"run", "serve", "batch", "bench"}) {
    std::vector<std::string> arguments = base_of(command);
    EXPECT_EQ(engine_of(arguments).eviction, kv::Eviction::kLru) << command;
    arguments.insert(arguments.end(), {"--eviction", "cost"});
    EXPECT_EQ(engine_of(arguments).eviction, kv::Eviction::kCost) << command;
    arguments.insert(arguments.end(), {"--eviction", "lru"});
    EXPECT_EQ(engine_of(arguments).eviction, kv::Eviction::kLru) << command;
    EXPECT_THAT(refusal({command, "--eviction", "fifo"}), HasSubstr("--eviction takes one of lru, cost"));
  }
  EXPECT_NE(refusal({"inspect", "--eviction", "lru"}), "") << "it caches nothing";
}

TEST(CommandLine, EngineFlagsReachTheEngineOfEveryCommandThatHasThem) {
  for (const char* command : {"run", "serve", "batch", "inspect", "bench"}) {
    const auto with = [&](const char* flag, const char* value) {
      std::vector<std::string> arguments = base_of(command);
      arguments.insert(arguments.end(), {flag, value});
      return engine_of(arguments);
    };
    EXPECT_EQ(with("--block-size", "32").block_tokens, 32u) << command;
    EXPECT_EQ(with("--kv-cache-dtype", "bfloat16").kv_type, kernels::KvType::kBF16) << command;
    if (command != std::string("bench")) {
      EXPECT_EQ(with("--max-model-len", "1K").context_tokens, 1024u) << command;
      EXPECT_EQ(with("-c", "2k").context_tokens, 2000u) << command;
      EXPECT_EQ(with("--ctx-size", "auto").context_tokens, 0u) << command;
    }
    if (command == std::string("inspect")) continue;
    EXPECT_EQ(with("--max-num-batched-tokens", "8192").step_tokens, engine::kMaxStepTokens) << command;
    EXPECT_EQ(with("--threads", "256").threads, engine::kMaxThreads) << command;
    EXPECT_EQ(with("--activations", "f32").arithmetic, kernels::Arithmetic::kFloat) << command;
    EXPECT_THAT(refusal({command, "--max-num-batched-tokens", "8193"}),
                HasSubstr("from 1 to 8192, not '8193'"));
  }
  for (const char* command : {"serve", "batch"}) {
    const auto with = [&](std::vector<std::string> more) {
      std::vector<std::string> arguments = base_of(command);
      arguments.insert(arguments.end(), more.begin(), more.end());
      return engine_of(arguments);
    };
    EXPECT_EQ(with({"--max-num-seqs", "1024"}).max_num_seqs, engine::kMaxSequences) << command;
    EXPECT_EQ(with({"--long-prefill-token-threshold", "9"}).long_prefill_token_threshold, 9u) << command;
    EXPECT_EQ(with({"--no-enable-chunked-prefill"}).chunked_prefill, scheduler::ChunkedPrefill::kOff)
        << command;
    EXPECT_EQ(with({"--scheduling-policy", "priority"}).policy, scheduler::Policy::kPriority) << command;
    EXPECT_EQ(with({"--step-budget-ms", "7"}).step_budget_ms, 7) << command;
    EXPECT_EQ(with({"--weights", "q8_0"}).quantize, kernels::TensorType::kQ8_0) << command;
  }
  EXPECT_EQ(engine_of({"batch", "a", "b", "--fair-users"}).fairness, scheduler::Fairness::kTenants);
  EXPECT_EQ(engine_of({"serve", "--api-key", "k", "--fair-api-keys"}).fairness, scheduler::Fairness::kTenants);
  EXPECT_EQ(engine_of({"batch", "a", "b", "--swap-space", "3"}).swap_bytes, 3u << 20);
}

// One row, one meaning: what has the same name takes the same values and says the same, whatever the command.
TEST(FlagTable, AFlagOfTheEngineIsTheSameInEveryCommand) {
  AllOptions options;
  engine::EngineOptions engine;
  for (const Verb verb : {Verb::kRun, Verb::kServe, Verb::kBatch, Verb::kInspect, Verb::kBench})
    for (const Flag& shared : engine_flags(verb, engine))
      for (const CommandEntry& entry : all_commands(options))
        for (const Flag& flag : entry.command.flags) {
          if (flag.group.empty() || !flag.is_called(shared.name())) continue;
          EXPECT_EQ(flag.type, shared.type) << entry.command.name << " --" << shared.name();
          EXPECT_EQ(flag.help, shared.help) << entry.command.name << " --" << shared.name();
        }
}

TEST(FlagTable, NoSpellingTwiceAndEveryRowExplained) {
  AllOptions options;
  for (const CommandEntry& entry : all_commands(options)) {
    std::set<std::string> known = {"-h", "--help"};
    for (const Flag& flag : entry.command.flags) {
      for (const std::string& spelling : flag.spellings())
        EXPECT_TRUE(known.insert(spelling).second) << entry.command.name << " " << spelling;
      EXPECT_FALSE(flag.help.empty()) << entry.command.name << " " << flag.name();
      EXPECT_FALSE(flag.help.ends_with('.')) << entry.command.name << " " << flag.name();
      EXPECT_EQ(flag.type.empty(), !flag.takes_value()) << entry.command.name << " " << flag.name();
    }
  }
}

TEST(CommandLine, HelpNamesArguments) {
  const auto help = [](const char* command) {
    return std::get<ShowText>(parse({command, "--help"}).value()).text;
  };
  EXPECT_THAT(help("batch"), HasSubstr("Usage: folio batch [OPTIONS] [INPUT] [OUTPUT]"));
  EXPECT_THAT(help("batch"), HasSubstr("\n  OUTPUT FILE "));
  EXPECT_THAT(help("pull"), HasSubstr("\n  MODEL NAME "));
  EXPECT_THAT(help("completion"), HasSubstr("\n  SHELL bash|zsh|fish "));
  EXPECT_THAT(help("run"), HasSubstr("\n  -m,--model PATH "));
}

TEST(CommandLine, HelpFitsIntoItsColumns) {
  for (const CommandSpec& command : describe_command_line()) {
    if (command.name.empty()) continue;
    std::istringstream help(std::get<ShowText>(parse({command.name, "--help"}).value()).text);
    for (std::string line; std::getline(help, line);) EXPECT_LE(line.size(), 112u) << line;
  }
}

TEST(CommandLine, HelpListsEveryFlag) {
  for (const CommandSpec& command : describe_command_line()) {
    const auto help = parse(command.name.empty() ? std::vector<std::string>{"--help"}
                                                 : std::vector<std::string>{command.name, "--help"});
    ASSERT_TRUE(help);
    for (const FlagSpec& flag : command.flags)
      for (const std::string& name : flag.names) EXPECT_THAT(std::get<ShowText>(*help).text, HasSubstr(name));
  }
  EXPECT_THAT(std::get<ShowText>(parse({}).value()).text, HasSubstr("folio run"));
  EXPECT_THAT(std::get<ShowText>(parse({"--version"}).value()).text, HasSubstr("folio 0."));
}

TEST(Completion, EveryShellKnowsEveryFlagAndChoice) {
  const auto commands = describe_command_line();
  ASSERT_EQ(commands.size(), 10u);
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell, commands);
    for (const CommandSpec& command : commands) {
      EXPECT_THAT(script, HasSubstr(command.name));
      for (const FlagSpec& flag : command.flags) {
        for (const std::string& name : flag.names)
          EXPECT_THAT(
              script,
              HasSubstr(shell == std::string("fish") ? name.substr(name.find_first_not_of('-')) : name));
        for (const std::string& choice : flag.choices) EXPECT_THAT(script, HasSubstr(choice));
      }
    }
  }
  const auto& flags = commands[1].flags;
  const auto dtype = std::ranges::find_if(flags, [](const FlagSpec& flag) {
    return std::ranges::find(flag.names, "--kv-cache-dtype") != flag.names.end();
  });
  ASSERT_NE(dtype, flags.end());
  EXPECT_THAT(dtype->choices, ElementsAre("auto", "f32", "f16", "bf16"));
}

}  // namespace
}  // namespace folio::app
