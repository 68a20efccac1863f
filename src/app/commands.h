// The table of all commands: what each is called, its rows, and what becomes of the options that they fill.
#pragma once

#include <functional>
#include <vector>

#include "app/cli.h"
#include "app/flag.h"

namespace folio::app {

// The options of every command, with their defaults; one of them is filled.
struct AllOptions {
  RunOptions run;
  ServeOptions serve;
  BatchOptions batch;
  InspectOptions inspect;
  PullOptions pull;
  RmOptions rm;
  BenchOptions bench;
  std::string shell;
};

struct CommandEntry {
  Command command;
  // What the command line says of the rows, set and checked. Once.
  std::function<Result<Invocation>(const Command&, const Assignments&)> finish;
};

// In the order of --help. `options` outlives the entries, which fill it.
[[nodiscard]] std::vector<CommandEntry> all_commands(AllOptions& options);

}  // namespace folio::app
