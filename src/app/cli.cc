#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/commands.h"
#include "app/nearest.h"
#include "app/serve/vllm_spelling.h"
#include "app/version.h"

namespace folio::app {
namespace {

constexpr int kMaxValues = 64;           // after one flag
constexpr std::size_t kNameColumn = 34;  // of --help: names and types
constexpr std::size_t kHelpColumn = 76;  // and what they mean

// Lines of at most kHelpColumn, broken between words.
std::string wrapped(const std::string& text) {
  std::string lines;
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (column + (column > 0) + end - at > kHelpColumn && column > 0) {
      lines += '\n';
      column = 0;
    }
    if (column > 0) lines += ' ';
    lines += text.substr(at, end - at);
    column += (column > 0) + end - at;
    at = end + 1;
  }
  return lines;
}

// The library's layout with one blank line between groups, and arguments that are flags too listed once.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(kNameColumn);
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }

  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    return fmt::format("{}\n\n{}{}{}{}\n{}", app->get_description(), make_usage(app, std::move(name)),
                       arguments(app), groups(app), make_subcommands(app, mode), make_footer(app));
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(option->get_description());
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

// The table for the CLI library, which only collects. Neither copied nor moved: the library keeps pointers.
struct CommandLine {
  CLI::App app{"folio runs language models on CPUs and keeps what they have computed.", "folio"};
  AllOptions options;
  std::vector<CommandEntry> entries = all_commands(options);
  std::vector<Assignments> found{entries.size()};  // of each command
  bool version = false;

  CommandLine() = default;
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
};

// A flag without a value.
void define_word(CLI::App* app, const Flag& flag, Assignments& to) {
  const std::string name(flag.name());
  app->add_flag_callback(
         flag.names, [name, &to] { to.emplace_back(name, "true"); }, flag.help)
      ->disable_flag_override()
      ->trigger_on_parse()
      ->group(flag.group);
  if (flag.takes != Takes::kNothing) return;
  app->add_flag_callback(
         "--" + opposite(name), [name, &to] { to.emplace_back(name, "false"); }, "the opposite of --" + name)
      ->disable_flag_override()
      ->trigger_on_parse()
      ->group("");
}

void define_flag(CLI::App* app, const Flag& flag, Assignments& to) {
  if (!flag.takes_value()) return define_word(app, flag, to);
  const std::string name(flag.name());
  const auto add_all = [name, &to](const std::vector<std::string>& values) {
    for (const std::string& value : values) to.emplace_back(name, value);
  };
  const auto add_one = [name, &to](const std::string& value) { to.emplace_back(name, value); };
  CLI::Option* option =
      flag.takes == Takes::kValues
          ? app->add_option_function<std::vector<std::string>>(flag.names, add_all, flag.help)
                ->expected(1, kMaxValues)
          : app->add_option_function<std::string>(flag.names, add_one, flag.help);
  // The library shows no argument of the group "".
  option->type_name(flag.type)->trigger_on_parse()->group(
      flag.group.empty() && flag.is_argument() ? "Arguments" : flag.group);
}

void define(CommandLine& line) {
  line.app.set_help_flag("-h,--help", "show this help");
  line.app.formatter(std::make_shared<HelpFormatter>());
  line.app.add_flag("--version", line.version, "show the version, how it was built, and the kernels in it");
  line.app.require_subcommand(0, 1);
  line.app.allow_extras();
  line.app.footer("'folio COMMAND --help' says more. Start with: folio run");
  for (std::size_t i = 0; i < line.entries.size(); ++i) {
    const Command& command = line.entries[i].command;
    CLI::App* app = line.app.add_subcommand(command.name, command.help);
    app->group("Commands");
    app->allow_extras();
    app->footer(command.footer);
    for (const Flag& flag : command.flags) define_flag(app, flag, line.found[i]);
  }
}

// In the order in which they were defined.
std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

Error unknown_flag(const CLI::App& app, const std::string& word, const std::string& command) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::string flag = word.substr(0, word.find('='));
  return {ErrorKind::kInvalid, fmt::format("'{}' is no flag of {}{}; '{} --help' lists them", flag, command,
                                           did_you_mean(flag, known), command)};
}

// The first argument that no option took, as an error.
Status check_rest(const CommandLine& line, const CLI::App& app) {
  const std::vector<std::string> rest = app.remaining();
  if (rest.empty()) return {};
  const bool is_root = &app == &line.app;
  // A flag says more than a word after it, which may have been its value.
  const auto flag = std::ranges::find_if(
      rest, [](const std::string& word) { return word.starts_with('-') && word.size() > 1; });
  if (flag != rest.end())
    return std::unexpected(unknown_flag(app, *flag, is_root ? "folio" : "folio " + app.get_name()));
  if (is_root) {
    std::vector<std::string> known;
    for (const CLI::App* command : commands_of(app)) known.push_back(command->get_name());
    return fail(ErrorKind::kInvalid, "folio has no command '{}'{}; 'folio --help' lists them", rest.front(),
                did_you_mean(rest.front(), known));
  }
  return fail(ErrorKind::kInvalid, "'{}' is one argument too many{}", rest.front(),
              app.get_name() == "run" ? "; a prompt goes behind -p, in quotes"
                                      : fmt::format("; 'folio {} --help' lists them", app.get_name()));
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
Result<std::vector<std::string>> spelled_plainly(std::span<const std::string> arguments,
                                                 const CommandLine& line) {
  if (arguments.empty() || arguments.front() != "serve") return split_empty_values(arguments);
  const auto serve =
      std::ranges::find_if(line.entries, [](const CommandEntry& e) { return e.command.name == "serve"; });
  FOLIO_TRY(words, plain_spelling(arguments.subspan(1), serve->command.flags));
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
  const std::vector<const CLI::App*> commands = commands_of(line.app);
  FOLIO_TRY_STATUS(check_rest(line, line.app));
  for (const CLI::App* app : commands) FOLIO_TRY_STATUS(check_rest(line, *app));
  for (std::size_t i = 0; i < commands.size(); ++i)
    if (commands[i]->parsed()) return line.entries[i].finish(line.entries[i].command, line.found[i]);
  return ShowText{line.app.help()};
}

ValueKind kind_of(const Flag& flag) {
  if (!flag.takes_value()) return ValueKind::kNone;
  if (!flag.choices().empty()) return ValueKind::kChoice;
  if (flag.type == "FILE") return ValueKind::kFile;
  return flag.type == "PATH" ? ValueKind::kFolderOrFile : ValueKind::kText;
}

CommandSpec describe(const Command& command) {
  CommandSpec spec{.name = command.name, .help = command.help, .flags = {}, .choices = {}};
  spec.flags.push_back({.names = {"-h", "--help"}, .help = "show this help", .choices = {}});
  for (const Flag& flag : command.flags) {
    const ValueKind kind = kind_of(flag);
    if (flag.is_argument()) {
      spec.positional = kind;
      spec.choices = flag.choices();
    }
    if (flag.group.empty()) continue;  // not in --help, or a mere argument
    spec.flags.push_back(
        {.names = flag.spellings(), .help = flag.help, .value = kind, .choices = flag.choices()});
  }
  return spec;
}

}  // namespace

Result<Invocation> parse_command_line(std::span<const std::string> arguments) {
  CommandLine line;
  define(line);
  FOLIO_TRY(words, spelled_plainly(arguments, line));
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
    return fail(ErrorKind::kInvalid, "{} takes exactly one value", what.substr(0, what.find(':')));
  } catch (const CLI::ParseError& error) {
    return fail(ErrorKind::kInvalid, "{}", sentence(error.what()));
  } catch (const std::exception& error) {
    return fail(ErrorKind::kInvalid, "the command line cannot be read: {}", sentence(error.what()));
  }
}

std::vector<CommandSpec> describe_command_line() {
  AllOptions options;
  std::vector<CommandSpec> commands = {
      {.name = "",
       .help = "",
       .flags = {{.names = {"-h", "--help"}, .help = "show this help", .choices = {}},
                 {.names = {"--version"},
                  .help = "show the version, how it was built, and the kernels in it",
                  .choices = {}}},
       .choices = {}}};
  for (const CommandEntry& entry : all_commands(options)) commands.push_back(describe(entry.command));
  return commands;
}

}  // namespace folio::app
