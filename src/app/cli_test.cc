#include "app/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "app/completion.h"

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
