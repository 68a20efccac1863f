#include "app/bench/flags.h"

#include "app/flag_kinds.h"
#include "app/shared_flags.h"
#include "model/model_config.h"

namespace folio::app {
namespace {

constexpr const char* kShapes =
    "What is run (each takes one value or several: 128,512; all combinations are run)";
constexpr const char* kSettings = "How it is computed (each takes one value or several)";

Flag numbers(std::string names, std::string help, CountRange range, std::vector<std::size_t>& target) {
  return list_of(target, [&](std::size_t& one) {
    return count({.names = std::move(names), .help = std::move(help), .group = kShapes}, std::move(range),
                 one);
  });
}

void add_shape_rows(std::vector<Flag>& rows, BenchOptions& bench) {
  const CountRange tokens{.last = model::kMaxContext};
  rows.push_back(numbers("-p,--prompt",
                         "prompt tokens of each stream, timed as prefill; 0: none (default 512)", tokens,
                         bench.prompt));
  rows.push_back(numbers("-n,--gen",
                         "tokens that each stream generates after its prompt, timed as decode; 0: none "
                         "(default 64)",
                         tokens, bench.generate));
  rows.push_back(
      numbers("-d,--depth",
              "tokens of context that are in the cache before the prompt: keys and values without meaning, "
              "neither computed nor timed; rounded up to whole blocks (default 0)",
              tokens, bench.depth));
  rows.push_back(numbers("-b,--batch", "number of streams side by side (default 1)",
                         {.first = 1, .last = kMaxStreams}, bench.streams));
  rows.push_back(list_of(bench.shared_prefix, [](SharedPrefix& one) {
    return choice<SharedPrefix>(
        {.names = "--shared-prefix",
         .help = "on: all streams share one depth; off: each has its own (default off)",
         .group = kShapes},
        {{"off", SharedPrefix::kOff}, {"on", SharedPrefix::kOn}}, one);
  }));
}

// A row of the engine that takes several values; what it sets in `bench.engine` is collected in `list`.
template <typename T>
Flag setting_row(Flag row, const T& set, std::vector<T>& list) {
  row.group = kSettings;
  return listed(std::move(row), [&list] { list.clear(); }, [&list, &set] { list.push_back(set); });
}

void add_engine_rows(std::vector<Flag>& rows, BenchOptions& bench) {
  engine::EngineOptions& engine = bench.engine;
  for (Flag& row : engine_flags(Verb::kBench, engine)) {
    if (row.is_called("kv-cache-dtype"))
      rows.push_back(setting_row(std::move(row), engine.kv_type, bench.kv_types));
    else if (row.is_called("activations"))
      rows.push_back(setting_row(std::move(row), engine.arithmetic, bench.arithmetic));
    else if (row.is_called("threads"))
      rows.push_back(setting_row(std::move(row), engine.threads, bench.threads));
    else
      rows.push_back(std::move(row));
  }
  rows.push_back(count({.names = "-r,--repetitions",
                        .help = "repetitions of each combination, after one to warm up (default 5)",
                        .group = "Timing"},
                       {.first = 1, .last = 1000}, bench.repetitions));
}

Flag format_row(std::string names, std::string help, BenchFormat wanted, BenchFormat& format) {
  return mark({.names = names, .help = std::move(help), .group = "Output"},
              [names, wanted, &format]() -> Status {
                if (format != BenchFormat::kText && format != wanted)
                  return fail(ErrorKind::kInvalid,
                              "{} and another format were both given; give one of --json and --csv", names);
                format = wanted;
                return {};
              });
}

Flag mode_row(std::string names, std::string help, BenchMode wanted, BenchMode& mode) {
  return mark(
      {.names = names, .help = std::move(help), .group = "Output"}, [names, wanted, &mode]() -> Status {
        if (mode != BenchMode::kRuns && mode != wanted)
          return fail(ErrorKind::kInvalid,
                      "{} and another table were both given; give one of --overview and --probe-only", names);
        mode = wanted;
        return {};
      });
}

void add_output_rows(std::vector<Flag>& rows, BenchOptions& bench) {
  rows.push_back(format_row("--json", "print one JSON object", BenchFormat::kJson, bench.format));
  rows.push_back(format_row("--csv", "print one line of CSV for each row", BenchFormat::kCsv, bench.format));
  rows.push_back(
      mode_row("--overview",
               "another table: load time, memory, prefill, decode at two lengths, and the cost of a token "
               "with the cache and without",
               BenchMode::kOverview, bench.mode));
  rows.push_back(mode_row("--probe-only", "measure the machine's limits alone; takes no model",
                          BenchMode::kProbeOnly, bench.mode));
  rows.push_back(
      toggle({.names = "--no-probe",
              .help = "do not measure the machine's limits (some seconds): no shares of them are shown",
              .group = "Output"},
             bench.probing, Probing::kSkip, Probing::kMeasure));
}

// Experiments of folio's developers, which are asked for elsewhere.
void add_experiment_rows(std::vector<Flag>& rows) {
  for (const auto& [names, experiment] : {std::pair("--engine", "engine"), std::pair("--slots", "crowd"),
                                          std::pair("--paging", "paging"), std::pair("--trace", "trace")}) {
    const auto refuse = [names, experiment]() -> Status {
      return fail(
          ErrorKind::kInvalid,
          "{} is an experiment on folio, not on a model, and is run in its source tree: ./dev bench {}",
          names, experiment);
    };
    rows.push_back(
        mark({.names = names, .help = "an experiment of folio's developers", .group = ""}, refuse));
  }
}

constexpr const char* kFooter =
    "Examples:\n"
    "  folio bench                                        prefill 512 and decode 64 of the default model\n"
    "  folio bench model.gguf -p 256 -n 32 -b 1,8,32 --kv-cache-dtype bf16\n"
    "  folio bench model.gguf -p 0 -n 64 -d 4096,32768    decode at long contexts\n"
    "  folio bench model.gguf -p 16 -n 32 -d 1024 -b 8 --shared-prefix off,on\n"
    "  folio bench --probe-only\n\n"
    "tok/s is the median of the repetitions, all streams together, with the least and the most.\n"
    "Operations: two for each multiply-add of the weight matrices (the output matrix for rows with logits\n"
    "only) and of attention's scores and sums. 'executed' counts both planes of int16 activations, "
    "'nominal'\n"
    "one; norms, rotation, exponentials and sampling are not counted. Bytes: the packed weights once a "
    "step,\n"
    "and the keys and values of each position that a step sees, once however many streams share it.\n"
    "'of the limit': the least time that the measured limits allow - for every matrix and for attention "
    "the\n"
    "longer of executed operations / peak of their kind and bytes / bandwidth, summed - over the time "
    "taken.\n"
    "'of memory or cache': bytes / time over the bandwidth of memory (m), or of the last-level cache (c)\n"
    "where that holds what a step reads. A star marks a depth that the streams share. See "
    "docs/benchmarks.md.\n"
    "FOLIO_ISA chooses the kernels, and those that find the limits.";

}  // namespace

Command describe_bench(BenchOptions& bench) {
  std::vector<Flag> rows = {model_flag("-m,--model,MODEL", kDefaultModel, bench.model)};
  add_shape_rows(rows, bench);
  add_engine_rows(rows, bench);
  add_output_rows(rows, bench);
  add_experiment_rows(rows);
  return {.name = "bench",
          .help = "measure how fast a model runs, beside the machine's limits",
          .flags = std::move(rows),
          .footer = kFooter};
}

Status check_bench(const BenchOptions& bench) {
  if (bench.mode == BenchMode::kProbeOnly && !bench.model.empty())
    return fail(ErrorKind::kInvalid,
                "--probe-only measures the machine and takes no model; leave one of them out");
  if (bench.mode == BenchMode::kProbeOnly && bench.probing == Probing::kSkip)
    return fail(ErrorKind::kInvalid, "--probe-only and --no-probe were both given; give one of them");
  if (bench.mode == BenchMode::kOverview && bench.probing == Probing::kSkip)
    return fail(ErrorKind::kInvalid,
                "--overview shows shares of the machine's limits and cannot be had with --no-probe");
  if (bench.mode != BenchMode::kRuns && bench.format == BenchFormat::kCsv)
    return fail(ErrorKind::kInvalid, "--csv is for the rows of runs; with another table use --json");
  return {};
}

}  // namespace folio::app
