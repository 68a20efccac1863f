#include "app/chat/flags.h"

#include <limits>

#include "app/defaults.h"
#include "app/flag_kinds.h"
#include "app/shared_flags.h"
#include "model/model_config.h"

namespace folio::app {
namespace {

void add_prompt_rows(std::vector<Flag>& rows, RunOptions& run) {
  const std::string group = "Prompt (without one, on a terminal: a chat)";
  rows.push_back(
      text({.names = "-p,--prompt", .help = "answer this prompt and exit", .group = group, .type = "TEXT"},
           run.prompt));
  rows.push_back(text({.names = "-f,--file",
                       .help = "answer the prompt in this file and exit (-: standard input)",
                       .group = group,
                       .type = "FILE"},
                      run.prompt_file));
  rows.push_back(
      text({.names = "--system", .help = "system prompt of the conversation", .group = group, .type = "TEXT"},
           run.system));
  rows.push_back(
      toggle({.names = "--raw",
              .help = "continue the prompt as it is, without the chat template; an empty prompt starts "
                      "from BOS alone",
              .group = group},
             run.templating, Templating::kRaw, Templating::kChat));
}

void add_answer_rows(std::vector<Flag>& rows, RunOptions& run) {
  const std::string group = "Answer";
  rows.push_back(
      count({.names = "-n,--max-tokens",
             .help = "maximum number of tokens to generate (default -1: what the context leaves)",
             .group = group},
            {.first = 1,
             .last = model::kMaxContext,
             .unset = {"-1"},
             .text = fmt::format("a whole number from 1 to {}, or -1 for no limit", model::kMaxContext)},
            run.max_tokens));
  rows.push_back(texts({.names = "--stop",
                        .help = "end the answer before this text; may be given several times",
                        .group = group,
                        .type = "TEXT"},
                       run.stop));
  rows.push_back(statistics_flag(group, "hide the line of statistics after each answer", run.statistics));
  rows.push_back(toggle({.names = "--verbose",
                         .help = "print on standard error what was loaded and which seed is used",
                         .group = group},
                        run.verbosity, Verbosity::kVerbose, Verbosity::kNormal));
}

constexpr const char* kSampling = "Sampling (defaults: the model's own, then the figures below)";

Flag sampling_row(std::string names, RealRange<float> range, std::string help, std::optional<float>& target) {
  return real<float>({.names = std::move(names), .help = std::move(help), .group = kSampling},
                     std::move(range), target);
}

void add_chance_rows(std::vector<Flag>& rows, SamplingFlags& s) {
  const sampling::SamplingParams d = kDefaultSampling;
  rows.push_back(sampling_row(
      "--temperature,--temp", {0, 1000},
      fmt::format("randomness of the choice; 0: always the most likely token (default {})", d.temperature),
      s.temperature));
  rows.push_back(count_with(
      {.names = "--top-k",
       .help = fmt::format("choose among the N most likely tokens; 0: among all (default {})", d.top_k),
       .group = kSampling},
      {.last = std::numeric_limits<std::int32_t>::max(),
       .unset = {"-1"},
       .text = "a whole number from 1 on, or 0 for no limit"},
      [&s](std::optional<std::size_t> n) { s.top_k = n ? static_cast<std::int32_t>(*n) : -1; }));
  rows.push_back(sampling_row(
      "--top-p", {0, 1, true},
      fmt::format("choose among the fewest tokens whose probabilities add up to N (default {})", d.top_p),
      s.top_p));
  rows.push_back(sampling_row(
      "--min-p", {0, 1},
      fmt::format("drop tokens with less than this share of the highest probability (default {})", d.min_p),
      s.min_p));
}

void add_penalty_rows(std::vector<Flag>& rows, SamplingFlags& s) {
  rows.push_back(sampling_row("--repetition-penalty,--repeat-penalty", {0.001F, 1000},
                              "penalty on tokens that occur in prompt or answer; 1: none (default 1)",
                              s.repetition_penalty));
  rows.push_back(
      sampling_row("--frequency-penalty", {-2, 2},
                   "subtracted from a token's logit each time the token occurs in the answer (default 0)",
                   s.frequency_penalty));
  rows.push_back(sampling_row(
      "--presence-penalty", {-2, 2},
      "subtracted from a token's logit once the token occurs in the answer (default 0)", s.presence_penalty));
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  rows.push_back(
      count({.names = "--seed",
             .help = "seed of the random choices: the same seed gives the same answer (default -1: random)",
             .group = kSampling},
            {.last = kMost,
             .unset = {"-1"},
             .text = fmt::format("a whole number from 0 to {}, or -1 to draw one", kMost)},
            s.seed));
}

}  // namespace

Command describe_run(RunOptions& run) {
  std::vector<Flag> rows = {model_flag("-m,--model,MODEL", kDefaultModel, run.model)};
  add_prompt_rows(rows, run);
  add_answer_rows(rows, run);
  add_chance_rows(rows, run.sampling);
  add_penalty_rows(rows, run.sampling);
  for (Flag& row : engine_flags(Verb::kRun, run.engine)) rows.push_back(std::move(row));
  return {.name = "run",
          .help = "chat with a model, or answer one prompt",
          .flags = std::move(rows),
          .footer =
              "Examples:\n"
              "  folio run                                        chat with the default model\n"
              "  folio run Llama-3.2-1B-Instruct-Q4_K_M.gguf -t 8\n"
              "  folio run -p \"Why is the sky blue?\" -n 100 --temperature 0\n"
              "  git diff | folio run --system \"Write a commit message.\"\n"
              "  folio run --raw -p \"Once upon a time\" model.gguf\n\n"
              "The answer goes to standard output, all else to standard error. Exit status: 0 for success, 1 "
              "for an "
              "error,\n"
              "2 for a wrong command line, 130 after Ctrl-C. Environment variables: "
              "FOLIO_ISA=reference|avx2|avx512|amx\n"
              "chooses the kernels, FOLIO_HOME the folder of models and history, NO_COLOR switches dim text "
              "off."};
}

Status check_run(const RunOptions& run) {
  if (run.prompt && run.prompt_file)
    return fail(ErrorKind::kInvalid, "--prompt and --file were both given; give one of them");
  if (run.templating == Templating::kRaw && run.system)
    return fail(ErrorKind::kInvalid,
                "--system needs the chat template, which --raw leaves out; give one of them");
  return {};
}

}  // namespace folio::app
