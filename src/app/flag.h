// A flag as a row of a table: how it is spelled, what it takes, what --help says of it and what it sets.
//
// All that folio knows of its flags stands in such rows, and all else is made of them: the command line,
// --help, completion scripts, the keys of a configuration file, environment variables and vLLM's spellings.
// Plain data; knows no command line library.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace folio::app {

enum class Takes {
  kMark,     // nothing: it is there or not
  kNothing,  // a switch: --name means "true", --no-name (or --name of --no-name) "false"
  kValue,    // one value; given several times, the row decides whether the last counts or all
  kValues,   // values up to the next flag: --served-model-name a b
  kJson,     // one JSON text, of which parts may be given: --name.key value
};

struct Flag {
  // "-c,--ctx-size,--max-model-len", or with a word in capitals an argument without a name:
  // "-m,--model,MODEL".
  std::string names;
  Takes takes = Takes::kValue;
  std::string type;  // of the value in --help: "N", "FILE", "PATH" (a file or a folder), "a|b" (one of these)
  std::string help;  // a line of any length, without a full stop
  std::string group;  // its heading in --help; empty: known, and not in --help
  // What one source (command line, environment, file) says of the flag: at least one value. It replaces what
  // weaker sources said. Errors: one sentence that names the flag and what it takes.
  std::function<Status(std::span<const std::string>)> set;

  // The first long name without its dashes, which errors, files and the environment use; or the argument's.
  [[nodiscard]] std::string_view name() const;
  // As they are typed, short ones first: {"-c", "--ctx-size", "--max-model-len"}. None of a mere argument.
  [[nodiscard]] std::vector<std::string> spellings() const;
  // Is that (without dashes) one of its long names?
  [[nodiscard]] bool is_called(std::string_view long_name) const;
  // May it stand without its name?
  [[nodiscard]] bool is_argument() const;
  [[nodiscard]] bool takes_value() const { return takes != Takes::kMark && takes != Takes::kNothing; }
  // Of "a|b"; empty for any other type.
  [[nodiscard]] std::vector<std::string> choices() const;
};

// The other half of a switch: "no-x" of "x", "x" of "no-x".
[[nodiscard]] std::string opposite(std::string_view name);

// A command: what --help says of it, and its rows in the order of --help.
struct Command {
  std::string name;  // empty: folio itself
  std::string help;
  std::vector<Flag> flags;
  std::string footer;
};

// The name() of a flag and a value, in the order in which one source gives them.
using Assignments = std::vector<std::pair<std::string, std::string>>;

// Sets each flag that is assigned, once, with all its values. `source` begins errors: "folio.yaml: ". Errors:
// the first unknown name, with what it may have meant, and what set() refuses.
[[nodiscard]] Status apply_flags(const Command& command, const Assignments& assignments,
                                 std::string_view source);

}  // namespace folio::app
