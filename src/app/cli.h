// The command line: from arguments to options, and the description that shell completion is made from. Both
// are made of the table in commands.h; the .cc is the only door to the CLI library.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/batch/options.h"
#include "app/bench/options.h"
#include "app/options.h"
#include "app/serve/options.h"
#include "base/result.h"

namespace folio::app {

// Something to print on standard output: --help, --version, a completion script.
struct ShowText {
  std::string text;
};

using Invocation = std::variant<ShowText, RunOptions, BatchOptions, InspectOptions, BenchOptions,
                                ServeOptions, PullOptions, ListOptions, RmOptions>;

// `arguments` without the program's name. Errors: one sentence about the first argument that is wrong.
[[nodiscard]] Result<Invocation> parse_command_line(std::span<const std::string> arguments);

enum class ValueKind { kNone, kText, kFile, kFolderOrFile, kChoice };

struct FlagSpec {
  std::vector<std::string> names;  // "-m", "--model"
  std::string help;
  ValueKind value = ValueKind::kNone;
  std::vector<std::string> choices;  // of kChoice
};

struct CommandSpec {
  std::string name;  // empty: folio itself
  std::string help;
  std::vector<FlagSpec> flags;
  ValueKind positional = ValueKind::kNone;
  std::vector<std::string> choices;  // of the positional argument
};

// folio itself first, then its commands.
[[nodiscard]] std::vector<CommandSpec> describe_command_line();

}  // namespace folio::app
