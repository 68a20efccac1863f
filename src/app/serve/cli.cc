// `folio serve` on the command line: the table of serve_flags() for the CLI library, which only collects.
#include <CLI/CLI.hpp>

#include "app/cli_flags.h"
#include "app/serve/options.h"

namespace folio::app {
namespace {

constexpr int kMaxValues = 64;  // after one flag

void add_switch(CLI::App* app, const ServeFlag& flag, Assignments& to) {
  const std::string name(flag.name);
  app->add_flag_callback(
         "--" + name, [name, &to] { to.emplace_back(name, "true"); }, flag.help)
      ->disable_flag_override()
      ->group(flag.group);
  app->add_flag_callback(
         "--no-" + name, [name, &to] { to.emplace_back(name, "false"); }, "the opposite of --" + name)
      ->disable_flag_override()
      ->group("");
}

// With one value, taken as it is; a type that ends in "..." takes several.
CLI::Option* add_option(CLI::App* app, const ServeFlag& flag, Assignments& to) {
  const std::string name(flag.name), names = "--" + name + std::string(flag.aliases);
  if (!flag.type.ends_with("..."))
    return app->add_option_function<std::string>(
        names, [name, &to](const std::string& value) { to.emplace_back(name, value); }, flag.help);
  return app
      ->add_option_function<std::vector<std::string>>(
          names,
          [name, &to](const std::vector<std::string>& values) {
            for (const std::string& value : values) to.emplace_back(name, value);
          },
          flag.help)
      ->expected(1, kMaxValues);
}

}  // namespace

void define_serve(CLI::App* app, Assignments& to) {
  ServeOptions described;
  for (const ServeFlag& flag : serve_flags(described)) {
    if (flag.type.empty()) {
      add_switch(app, flag, to);
      continue;
    }
    add_option(app, flag, to)->type_name(std::string(flag.type))->trigger_on_parse()->group(flag.group);
  }
  app->footer(
      "Examples:\n"
      "  folio serve                                      the default model at http://127.0.0.1:8000/v1\n"
      "  folio serve Llama-3.2-1B-Instruct-Q4_K_M.gguf --port 8001 --kv-cache-memory-bytes 8G\n"
      "  folio serve --config folio.yaml --api-key \"$KEY\"\n\n"
      "Limits without a flag: JSON is nested at most 32 deep and has at most 10000 keys; a request has at "
      "most "
      "128\nprompts, 128 answers to each, and 64 stop texts.\n\n"
      "Ctrl-C or SIGTERM lets requests end and takes no new ones; a second one ends at once. vLLM's flags "
      "for\n"
      "GPUs are accepted with a warning. docs/serving.md says what the API takes.");
}

}  // namespace folio::app
