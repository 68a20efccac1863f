#include "app/commands.h"

#include "app/batch/flags.h"
#include "app/bench/flags.h"
#include "app/chat/flags.h"
#include "app/completion.h"
#include "app/flag_kinds.h"
#include "app/inspect/flags.h"
#include "app/nearest.h"

namespace folio::app {
namespace {

Command describe_pull(PullOptions& pull) {
  return {
      .name = "pull",
      .help = "download a model from the hub",
      .flags = {text({.names = "MODEL",
                      .help = "ORGANISATION/NAME, ORGANISATION/NAME:FILE (or :Q4_K_M), or the URL of a file",
                      .type = "NAME"},
                     pull.name)},
      .footer =
          "Examples:\n"
          "  folio pull bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M\n"
          "  folio pull hf://HuggingFaceTB/SmolLM2-135M-Instruct\n"
          "  folio run bartowski/Llama-3.2-1B-Instruct-GGUF\n\n"
          "A download that breaks off is resumed, and every file's hash is verified. Environment variables:\n"
          "  HF_TOKEN                token for gated models, sent to the hub only\n"
          "  HF_ENDPOINT             a mirror of the hub\n"
          "  HTTPS_PROXY, NO_PROXY   as curl reads them; SSL_CERT_FILE: the authorities to trust\n"
          "  FOLIO_HOME              models are stored in $FOLIO_HOME/models (default "
          "~/.cache/folio/models)"};
}

Command describe_list() {
  return {.name = "list",
          .help = "list the models on this machine",
          .flags = {},
          .footer = "Example:\n  folio list"};
}

Command describe_rm(RmOptions& rm) {
  return {.name = "rm",
          .help = "remove a downloaded model",
          .flags = {text({.names = "MODEL", .help = "a model, as folio list prints it", .type = "NAME"},
                         rm.name)},
          .footer = "Example:\n  folio rm bartowski/Llama-3.2-1B-Instruct-GGUF"};
}

Flag shell_row(std::string& shell) {
  const std::vector<std::string> known = {"bash", "zsh", "fish"};
  Flag flag =
      choice_of({.names = "SHELL", .help = "the shell"}, known, std::vector<std::string>(known.size()),
                [known, &shell](std::size_t i) { shell = known[i]; });
  flag.set = [known, read = std::move(flag.set)](std::span<const std::string> values) -> Status {
    if (!read(values))
      return fail(ErrorKind::kInvalid, "folio completion knows bash, zsh and fish, not '{}'{}", values.back(),
                  did_you_mean(values.back(), known));
    return {};
  };
  return flag;
}

Command describe_completion(std::string& shell) {
  return {.name = "completion",
          .help = "print a completion script for a shell",
          .flags = {shell_row(shell)},
          .footer = "Example:\n  folio completion bash > ~/.local/share/bash-completion/completions/folio"};
}

template <typename Options>
Status check_name(const Options& options, std::string_view command) {
  if (!options.name.empty()) return {};
  return fail(ErrorKind::kInvalid, "folio {} takes the name of a model; 'folio {} --help' says which",
              command, command);
}
Status check_pull(const PullOptions& pull) { return check_name(pull, "pull"); }
Status check_rm(const RmOptions& rm) { return check_name(rm, "rm"); }
Status no_check(const InspectOptions&) { return {}; }

// A command whose rows fill `options`, which are all that it needs.
template <typename Options>
CommandEntry entry(Command command, Options& options, Status (*check)(const Options&)) {
  return {std::move(command),
          [&options, check](const Command& rows, const Assignments& assignments) -> Result<Invocation> {
            FOLIO_TRY_STATUS(apply_flags(rows, assignments, ""));
            FOLIO_TRY_STATUS(check(options));
            return std::move(options);
          }};
}

Result<Invocation> complete(const std::string& shell) {
  if (shell.empty()) return fail(ErrorKind::kInvalid, "folio completion takes a shell: bash, zsh or fish");
  return ShowText{completion_script(shell, describe_command_line())};
}

}  // namespace

std::vector<CommandEntry> all_commands(AllOptions& o) {
  return {entry(describe_run(o.run), o.run, check_run),
          {describe_serve(o.serve),  // has other sources, too
           [](const Command&, const Assignments& assignments) -> Result<Invocation> {
             FOLIO_TRY(serve, resolve_serve(assignments));
             return serve;
           }},
          entry(describe_batch(o.batch), o.batch, check_batch),
          entry(describe_inspect(o.inspect), o.inspect, no_check),
          entry(describe_pull(o.pull), o.pull, check_pull),
          {describe_list(),
           [](const Command&, const Assignments&) -> Result<Invocation> { return ListOptions{}; }},
          entry(describe_rm(o.rm), o.rm, check_rm),
          entry(describe_bench(o.bench), o.bench, check_bench),
          {describe_completion(o.shell),
           [&o](const Command& rows, const Assignments& assignments) -> Result<Invocation> {
             FOLIO_TRY_STATUS(apply_flags(rows, assignments, ""));
             return complete(o.shell);
           }}};
}

}  // namespace folio::app
