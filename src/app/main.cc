// folio: parses the command line and runs one command.
#include <string>
#include <vector>

#include "app/batch/batch.h"
#include "app/bench/bench.h"
#include "app/chat/run.h"
#include "app/cli.h"
#include "app/console.h"
#include "app/exit_code.h"
#include "app/inspect/inspect.h"
#include "app/pull.h"
#include "app/serve/serve.h"
#include "platform/terminal.h"

namespace {

using namespace folio::app;

ExitCode run(const std::vector<std::string>& arguments) {
  Console console = Console::standard_streams();
  auto invocation = parse_command_line(arguments);
  if (!invocation) {
    console.error(invocation.error().message);
    return ExitCode::kUsage;
  }
  if (auto* options = std::get_if<RunOptions>(&*invocation)) return run_command(*options, console);
  if (auto* options = std::get_if<BatchOptions>(&*invocation)) return batch_command(*options, console);
  if (auto* options = std::get_if<InspectOptions>(&*invocation)) return inspect_command(*options, console);
  if (auto* options = std::get_if<ServeOptions>(&*invocation)) return serve_command(*options, console);
  if (auto* options = std::get_if<PullOptions>(&*invocation)) return pull_command(*options, console);
  if (std::holds_alternative<ListOptions>(*invocation)) return list_command(console);
  if (auto* options = std::get_if<RmOptions>(&*invocation)) return rm_command(*options, console);
  if (auto* options = std::get_if<BenchOptions>(&*invocation)) return bench_command(*options, console);
  console.answer(std::get<ShowText>(*invocation).text);
  if (!console.failure()) return ExitCode::kOk;
  console.error(console.failure()->message);
  return ExitCode::kError;
}

}  // namespace

int main(int argc, char** argv) {
  folio::platform::ignore_broken_pipes();
  return static_cast<int>(run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc)));
}
