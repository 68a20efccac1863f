#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/bench/flags.h"
#include "app/cli_flags.h"
#include "app/completion.h"
#include "app/nearest.h"
#include "app/serve/vllm_spelling.h"
#include "app/version.h"

namespace folio::app {
namespace {

// Everything that one parse fills; the CLI library keeps pointers into it.
struct CommandLine {
  CLI::App app{"folio runs language models on CPUs and keeps what they have computed.", "folio"};
  RunOptions run;
  BatchOptions batch;
  InspectOptions inspect;
  Assignments serve;
  PullOptions pull;
  RmOptions rm;
  BenchOptions bench;
  std::string shell;
  CLI::App *run_command = nullptr, *serve_command = nullptr, *batch_command = nullptr,
           *inspect_command = nullptr, *pull_command = nullptr, *list_command = nullptr,
           *rm_command = nullptr, *bench_command = nullptr, *completion_command = nullptr;
  bool version = false;
};

// The library's layout with one blank line between groups, and arguments that are flags too listed once.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(34);
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }

  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    return fmt::format("{}\n\n{}{}{}{}\n{}", app->get_description(), make_usage(app, std::move(name)),
                       arguments(app), groups(app), make_subcommands(app, mode), make_footer(app));
  }

 private:
  std::string arguments(const CLI::App* app) const {
    const auto options =
        app->get_options([](const CLI::Option* o) { return o->get_positional() && !o->nonpositional(); });
    return options.empty() ? std::string() : make_group(get_label("Positionals"), true, options);
  }

  std::string groups(const CLI::App* app) const {
    std::string text;
    for (const std::string& group : app->get_groups()) {
      if (group.empty()) continue;  // known, and not for everybody
      const auto options = app->get_options(
          [&](const CLI::Option* o) { return o->get_group() == group && o->nonpositional(); });
      if (!options.empty()) text += make_group(group, false, options);
    }
    return text;
  }
};

void define(CommandLine& line) {
  line.app.set_help_flag("-h,--help", "show this help");
  line.app.formatter(std::make_shared<HelpFormatter>());
  line.app.add_flag("--version", line.version, "show the version, how it was built, and the kernels in it");
  line.app.require_subcommand(0, 1);
  line.run_command = line.app.add_subcommand("run", "chat with a model, or answer one prompt");
  line.serve_command = line.app.add_subcommand("serve", "answer requests of OpenAI's API over HTTP");
  line.batch_command = line.app.add_subcommand("batch", "answer every request of a file");
  line.inspect_command =
      line.app.add_subcommand("inspect", "show what a model file holds and what this machine has");
  line.pull_command = line.app.add_subcommand("pull", "download a model from the hub");
  line.list_command = line.app.add_subcommand("list", "list the models on this machine");
  line.rm_command = line.app.add_subcommand("rm", "remove a downloaded model");
  line.bench_command =
      line.app.add_subcommand("bench", "measure how fast a model runs, beside the machine's limits");
  line.completion_command = line.app.add_subcommand("completion", "print a completion script for a shell");
  define_run(line.run_command, line.run);
  define_serve(line.serve_command, line.serve);
  define_batch(line.batch_command, line.batch);
  define_inspect(line.inspect_command, line.inspect);
  define_pull(line.pull_command, line.pull);
  define_list(line.list_command);
  define_rm(line.rm_command, line.rm);
  define_bench(line.bench_command, line.bench);
  define_completion(line.completion_command, line.shell);
  for (CLI::App* app : line.app.get_subcommands([](CLI::App*) { return true; })) {
    app->group("Commands");
    app->allow_extras();
    app->formatter(line.app.get_formatter());
  }
  line.app.allow_extras();
  line.app.footer("'folio COMMAND --help' says more. Start with: folio run");
}

// In the order in which they were defined.
std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// The first argument that no option took, as an error.
Status check_rest(const CommandLine& line, const CLI::App& app) {
  const std::vector<std::string> rest = app.remaining();
  if (rest.empty()) return {};
  // A flag says more than a word after it, which may have been its value.
  const auto flag = std::ranges::find_if(
      rest, [](const std::string& word) { return word.starts_with('-') && word.size() > 1; });
  const std::string& word = flag == rest.end() ? rest.front() : *flag;
  const bool is_root = &app == &line.app;
  std::vector<std::string> known;
  if (flag != rest.end()) {
    for (const CLI::Option* option : app.get_options())
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    return fail(ErrorKind::kInvalid, "'{}' is no flag of {}{}; '{} --help' lists them",
                word.substr(0, word.find('=')), is_root ? "folio" : "folio " + app.get_name(),
                did_you_mean(word.substr(0, word.find('=')), known),
                is_root ? "folio" : "folio " + app.get_name());
  }
  if (is_root) {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
      known.push_back(command->get_name());
    return fail(ErrorKind::kInvalid, "folio has no command '{}'{}; 'folio --help' lists them", word,
                did_you_mean(word, known));
  }
  return fail(ErrorKind::kInvalid, "'{}' is one argument too many; a prompt goes behind -p, in quotes", word);
}

Status check_run(const RunOptions& run) {
  if (run.prompt && run.prompt_file)
    return fail(ErrorKind::kInvalid, "--prompt and --file were both given; give one of them");
  if (run.templating == Templating::kRaw && run.system)
    return fail(ErrorKind::kInvalid,
                "--system needs the chat template, which --raw leaves out; give one of them");
  return {};
}

// `--flag=` means an empty value; the library would take the next argument for it.
std::vector<std::string> split_empty_values(std::span<const std::string> arguments) {
  std::vector<std::string> split;
  for (const std::string& argument : arguments) {
    const bool empty_value = argument.starts_with("--") && argument.find('=') == argument.size() - 1;
    if (empty_value) {
      split.push_back(argument.substr(0, argument.size() - 1));
      split.emplace_back();
    } else {
      split.push_back(argument);
    }
  }
  return split;
}

// `folio serve` takes its flags as vLLM's users write them, too.
Result<std::vector<std::string>> spelled_plainly(std::span<const std::string> arguments) {
  if (arguments.empty() || arguments.front() != "serve") return split_empty_values(arguments);
  ServeOptions described;
  FOLIO_TRY(words, plain_spelling(arguments.subspan(1), serve_flags(described)));
  words.insert(words.begin(), arguments.front());
  return split_empty_values(words);
}

// One line: the library's own sentences may have several.
std::string sentence(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  while (text.ends_with(' ') || text.ends_with('.')) text.pop_back();
  return text;
}

Result<Invocation> invocation_of(CommandLine& line) {
  if (line.version) return ShowText{version_text()};
  FOLIO_TRY_STATUS(check_rest(line, line.app));
  for (const CLI::App* app : commands_of(line.app)) FOLIO_TRY_STATUS(check_rest(line, *app));
  if (line.run_command->parsed()) {
    FOLIO_TRY_STATUS(check_run(line.run));
    return std::move(line.run);
  }
  if (line.serve_command->parsed()) {
    FOLIO_TRY(serve, resolve_serve(line.serve));
    return serve;
  }
  for (const auto& [command, name] :
       {std::pair(line.pull_command, &line.pull.name), std::pair(line.rm_command, &line.rm.name)})
    if (command->parsed() && name->empty())
      return fail(ErrorKind::kInvalid, "folio {} takes the name of a model; 'folio {} --help' says which",
                  command->get_name(), command->get_name());
  if (line.pull_command->parsed()) return std::move(line.pull);
  if (line.list_command->parsed()) return ListOptions{};
  if (line.rm_command->parsed()) return std::move(line.rm);
  if (line.batch_command->parsed()) {
    if (line.batch.output.empty())
      return fail(ErrorKind::kInvalid, "folio batch takes two files: the requests, and where the results go");
    return std::move(line.batch);
  }
  if (line.inspect_command->parsed()) return std::move(line.inspect);
  if (line.bench_command->parsed()) {
    FOLIO_TRY_STATUS(check_bench(line.bench));
    return std::move(line.bench);
  }
  if (line.completion_command->parsed()) {
    if (line.shell.empty())
      return fail(ErrorKind::kInvalid, "folio completion takes a shell: bash, zsh or fish");
    return ShowText{completion_script(line.shell, describe_command_line())};
  }
  return ShowText{line.app.help()};
}

ValueKind kind_of(const std::string& type) {
  if (type.find('|') != std::string::npos) return ValueKind::kChoice;
  if (type == "FILE") return ValueKind::kFile;
  return type == "PATH" ? ValueKind::kFolderOrFile : ValueKind::kText;
}

CommandSpec describe(const CLI::App& app, std::string name) {
  CommandSpec command{.name = std::move(name), .help = app.get_description(), .flags = {}, .choices = {}};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // not in --help
    const std::string type = option->get_type_name();
    const ValueKind kind = option->get_items_expected_max() == 0 ? ValueKind::kNone : kind_of(type);
    const std::vector<std::string> choices =
        kind == ValueKind::kChoice ? CLI::detail::split(type, '|') : std::vector<std::string>();
    if (option->get_positional()) {
      command.positional = kind;
      command.choices = choices;
    }
    FlagSpec flag{.names = {}, .help = option->get_description(), .value = kind, .choices = choices};
    std::ranges::replace(flag.help, '\n', ' ');
    for (const std::string& shorter : option->get_snames()) flag.names.push_back("-" + shorter);
    for (const std::string& longer : option->get_lnames()) flag.names.push_back("--" + longer);
    if (!flag.names.empty()) command.flags.push_back(std::move(flag));
  }
  return command;
}

}  // namespace

Result<Invocation> parse_command_line(std::span<const std::string> arguments) {
  CommandLine line;
  define(line);
  FOLIO_TRY(words, spelled_plainly(arguments));
  std::ranges::reverse(words);  // as the library wants them
  try {
    line.app.parse(std::move(words));
    return invocation_of(line);
  } catch (const CLI::CallForHelp&) {
    return ShowText{line.app.help()};
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string_view what = error.what();
    if (!what.starts_with('-'))
      return fail(ErrorKind::kInvalid, "--{}: it takes no value", sentence(error.what()));
    return fail(ErrorKind::kInvalid, "{} is to be followed by exactly one value",
                what.substr(0, what.find(':')));
  } catch (const CLI::ParseError& error) {
    return fail(ErrorKind::kInvalid, "{}", sentence(error.what()));
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInvalid, "the command line cannot be read: {}", sentence(error.what()));
  }
}

std::vector<CommandSpec> describe_command_line() {
  CommandLine line;
  define(line);
  std::vector<CommandSpec> commands = {describe(line.app, "")};
  for (const CLI::App* app : commands_of(line.app)) commands.push_back(describe(*app, app->get_name()));
  return commands;
}

}  // namespace folio::app
