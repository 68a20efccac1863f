#include "app/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"

namespace folio::app {
namespace {

// The parts of the description that are commands, without folio itself.
std::span<const CommandSpec> subcommands(std::span<const CommandSpec> commands) {
  return commands.subspan(1);
}

std::string replaced(std::string text, char what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, 1, by);
  return text;
}

// A text inside single quotes.
std::string single_quoted(const std::string& text) {
  return fmt::format("'{}'", replaced(text, '\'', "'\\''"));
}

// ---- bash

// What completes the word after a flag or at a positional argument; empty: nothing is known about it.
std::string bash_values(ValueKind kind, const std::vector<std::string>& choices) {
  switch (kind) {
    case ValueKind::kChoice:
      return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$word\"))", fmt::join(choices, " "));
    case ValueKind::kFile:
    case ValueKind::kFolderOrFile:
      return "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\"))";
    case ValueKind::kNone:
    case ValueKind::kText:
      return {};
  }
  return {};
}

std::string bash_command(const CommandSpec& command) {
  std::vector<std::string> words;
  std::string after_flag;
  for (const FlagSpec& flag : command.flags) {
    words.insert(words.end(), flag.names.begin(), flag.names.end());
    if (flag.value == ValueKind::kNone) continue;
    const std::string values = bash_values(flag.value, flag.choices);
    after_flag += fmt::format("        {}) {}return ;;\n", fmt::join(flag.names, "|"),
                              values.empty() ? "" : values + "; ");
  }
  const std::string values = bash_values(command.positional, command.choices);
  return fmt::format(
      "    {})\n"
      "      case $before in\n{}"
      "      esac\n"
      "      if [[ $word == -* ]]; then\n"
      "        COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n"
      "      else\n"
      "        {}\n"
      "      fi ;;\n",
      command.name, after_flag, fmt::join(words, " "), values.empty() ? ":" : values);
}

std::string bash_script(std::span<const CommandSpec> commands) {
  std::vector<std::string> first;
  std::string cases;
  for (const CommandSpec& command : subcommands(commands)) {
    first.push_back(command.name);
    cases += bash_command(command);
  }
  for (const FlagSpec& flag : commands[0].flags)
    first.insert(first.end(), flag.names.begin(), flag.names.end());
  return fmt::format(
      "# bash completion for folio\n"
      "_folio() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n"
      "  COMPREPLY=()\n"
      "  if ((COMP_CWORD == 1)); then\n"
      "    COMPREPLY=($(compgen -W '{}' -- \"$word\"))\n"
      "    return\n"
      "  fi\n"
      "  case ${{COMP_WORDS[1]}} in\n{}"
      "  esac\n"
      "}}\n"
      "complete -F _folio folio\n",
      fmt::join(first, " "), cases);
}

// ---- zsh

std::string zsh_value(ValueKind kind, const std::vector<std::string>& choices) {
  switch (kind) {
    case ValueKind::kNone:
      return {};
    case ValueKind::kChoice:
      return fmt::format(":value:({})", fmt::join(choices, " "));
    case ValueKind::kFile:
    case ValueKind::kFolderOrFile:
      return ":path:_files";
    case ValueKind::kText:
      return ":value: ";
  }
  return {};
}

// An _arguments specification: '(-m --model)'{-m,--model}'[help]:path:_files'
std::string zsh_flag(const FlagSpec& flag) {
  std::string help = flag.help;
  for (const char special : {'\\', '[', ']', ':'})
    help = replaced(help, special, fmt::format("\\{}", special));
  const std::string rest = single_quoted(fmt::format("[{}]{}", help, zsh_value(flag.value, flag.choices)));
  if (flag.names.size() == 1) return "      " + flag.names[0] + rest + " \\\n";
  return fmt::format("      '({})'{{{}}}{} \\\n", fmt::join(flag.names, " "), fmt::join(flag.names, ","),
                     rest);
}

std::string zsh_script(std::span<const CommandSpec> commands) {
  std::string names, cases;
  for (const CommandSpec& command : subcommands(commands)) {
    names += fmt::format("    {}\n", single_quoted(command.name + ":" + command.help));
    cases += fmt::format("    {}) _arguments -s \\\n", command.name);
    for (const FlagSpec& flag : command.flags) cases += zsh_flag(flag);
    cases += fmt::format("      {} ;;\n",
                         single_quoted(fmt::format("1{}", zsh_value(command.positional, command.choices))));
  }
  std::string own;
  for (const FlagSpec& flag : commands[0].flags) own += zsh_flag(flag);
  return fmt::format(
      "#compdef folio\n"
      "_folio() {{\n"
      "  local -a commands=(\n{}"
      "  )\n"
      "  if ((CURRENT == 2)); then\n"
      "    _describe command commands\n"
      "    _arguments \\\n{}"
      "      && return\n"
      "    return\n"
      "  fi\n"
      "  local command=$words[2]\n"
      "  shift words\n"
      "  ((CURRENT--))\n"
      "  case $command in\n{}"
      "  esac\n"
      "}}\n"
      "if [[ $funcstack[1] == _folio ]]; then _folio \"$@\"; else compdef _folio folio; fi\n",
      names, own, cases);
}

// ---- fish

std::string fish_value(ValueKind kind, const std::vector<std::string>& choices) {
  switch (kind) {
    case ValueKind::kNone:
      return {};
    case ValueKind::kChoice:
      return fmt::format(" -x -a '{}'", fmt::join(choices, " "));
    case ValueKind::kFile:
    case ValueKind::kFolderOrFile:
      return " -r -F";
    case ValueKind::kText:
      return " -x";
  }
  return {};
}

std::string fish_quoted(const std::string& text) {
  return fmt::format("'{}'", replaced(replaced(text, '\\', "\\\\"), '\'', "\\'"));
}

std::string fish_flag(const FlagSpec& flag, std::string_view condition) {
  std::string line = fmt::format("complete -c folio -n '{}'", condition);
  for (const std::string& name : flag.names)
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  return line + fish_value(flag.value, flag.choices) + " -d " + fish_quoted(flag.help) + "\n";
}

std::string fish_script(std::span<const CommandSpec> commands) {
  std::string script = "# fish completion for folio\ncomplete -c folio -f\n";
  for (const FlagSpec& flag : commands[0].flags) script += fish_flag(flag, "__fish_use_subcommand");
  for (const CommandSpec& command : subcommands(commands)) {
    const std::string inside = "__fish_seen_subcommand_from " + command.name;
    script += fmt::format("complete -c folio -n '__fish_use_subcommand' -a {} -d {}\n", command.name,
                          fish_quoted(command.help));
    for (const FlagSpec& flag : command.flags) script += fish_flag(flag, inside);
    if (command.positional == ValueKind::kChoice)
      script += fmt::format("complete -c folio -n '{}' -a '{}'\n", inside, fmt::join(command.choices, " "));
    else if (command.positional != ValueKind::kNone)
      script += fmt::format("complete -c folio -n '{}' -F\n", inside);
  }
  return script;
}

}  // namespace

std::string completion_script(std::string_view shell, std::span<const CommandSpec> commands) {
  FOLIO_CHECK(!commands.empty(), "folio itself is described first");
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  FOLIO_CHECK(shell == "fish", "one of the three shells");
  return fish_script(commands);
}

}  // namespace folio::app
