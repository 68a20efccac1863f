#include "app/bench/flags.h"

#include <limits>

#include "app/flag_kinds.h"
#include "model/model_config.h"

namespace folio::app {
namespace {

constexpr std::size_t kMaxList = 64;

std::vector<std::string> split_list(const std::string& flag, const std::string& text) {
  std::vector<std::string> items;
  std::size_t start = 0;
  for (;;) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    items.push_back(text.substr(start, comma - start));
    if (comma == text.size()) break;
    start = comma + 1;
  }
  if (items.size() > kMaxList)
    refuse(fmt::format("{} takes at most {} values, not {}", flag, kMaxList, items.size()));
  return items;
}

// A flag that takes values separated by commas, each turned by `parse`, which refuses what it does not know.
template <typename T>
struct ListFlag {
  std::string names, type, help, group;
  std::vector<T>& target;
};

template <typename T, typename Parse>
void add_list(CLI::App* app, const ListFlag<T>& list, Parse parse) {
  const auto set = [flag = long_name(list.names), &target = list.target, parse](const std::string& text) {
    target.clear();
    for (const std::string& item : split_list(flag, text)) target.push_back(parse(flag, item));
  };
  app->add_option_function<std::string>(list.names, set, list.help)
      ->type_name(list.type)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->group(list.group);
}

template <typename T>
void add_numbers(CLI::App* app, const ListFlag<T>& list, T first, T last) {
  add_list(app, list, [range = from_to(first, last)](const std::string& flag, const std::string& item) {
    T value{};
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), value);
    if (error != std::errc() || end != item.data() + item.size() || !range.holds(value))
      refuse(
          fmt::format("{} takes {}, or several with commas between them, not '{}'", flag, range.text, item));
    return value;
  });
}

template <typename T>
struct Choice {
  std::string name;
  T value;
};

template <typename T>
void add_choices(CLI::App* app, const ListFlag<T>& list, std::vector<Choice<T>> choices) {
  add_list(app, list, [choices = std::move(choices)](const std::string& flag, const std::string& item) {
    std::vector<std::string> known;
    for (const Choice<T>& choice : choices) {
      if (choice.name == item) return choice.value;
      known.push_back(choice.name);
    }
    refuse(fmt::format("{} takes {}, or several with commas between them, not '{}'{}", flag,
                       fmt::join(known, ", "), item, did_you_mean(item, known)));
  });
}

void add_shape_flags(CLI::App* app, BenchOptions& bench) {
  const std::string group =
      "What is run (each takes one value or several: 128,512; all combinations are run)";
  const auto numbers = [&](const std::string& names, std::vector<std::size_t>& target, std::size_t first,
                           std::size_t last, const std::string& help) {
    add_numbers<std::size_t>(
        app, {.names = names, .type = "N", .help = help, .group = group, .target = target}, first, last);
  };
  numbers("-p,--prompt", bench.prompt, 0, model::kMaxContext,
          "tokens of each stream's prompt, timed as prefill; 0: none\n(default 512)");
  numbers("-n,--gen", bench.generate, 0, model::kMaxContext,
          "tokens that each stream then generates, timed as decode;\n0: none (default 64)");
  numbers("-d,--depth", bench.depth, 0, model::kMaxContext,
          "tokens of context before the prompt, already in the cache: keys\nand values without meaning, not "
          "computed "
          "and not timed; rounded\nup to whole blocks (default 0)");
  numbers("-b,--batch", bench.streams, 1, kMaxStreams, "streams side by side (default 1)");
  add_choices<SharedPrefix>(app,
                            {.names = "--shared-prefix",
                             .type = "off|on",
                             .help = "on: the streams have one depth in common; off: one each\n(default off)",
                             .group = group,
                             .target = bench.shared_prefix},
                            {{"off", SharedPrefix::kOff}, {"on", SharedPrefix::kOn}});
}

void add_setting_flags(CLI::App* app, BenchOptions& bench) {
  const std::string group = "How it is computed (lists too)";
  using KvType = std::optional<kernels::KvType>;
  add_choices<KvType>(
      app,
      {.names = "--kv-cache-dtype",
       .type = "auto|f32|f16|bf16",
       .help = "type of the numbers in the cache (default auto: f16, or f32\nwhere only the plain C++ "
               "kernels run)",
       .group = group,
       .target = bench.kv_types},
      {{"auto", std::nullopt},
       {"f32", kernels::KvType::kF32},
       {"f16", kernels::KvType::kF16},
       {"bf16", kernels::KvType::kBF16}});
  using kernels::Arithmetic;
  add_choices<Arithmetic>(
      app,
      {.names = "--activations",
       .type = "mixed|int16|f32",
       .help = "what is multiplied with quantised weights (default mixed: int8, and\n16 bits where a row's "
               "values stand out; with bf16 weights: bf16)",
       .group = group,
       .target = bench.arithmetic},
      {{"mixed", Arithmetic::kMixed}, {"int16", Arithmetic::kInt16}, {"f32", Arithmetic::kFloat}});
  add_numbers<int>(app,
                   {.names = "-t,--threads",
                    .type = "N",
                    .help = "default 0: as many as affinity and cgroup allow",
                    .group = group,
                    .target = bench.threads},
                   0, 256);
  add_memory(app, bench.memory_bytes, group);
  add_number<std::uint32_t>(
      app, "-r,--repetitions", from_to(1u, 1000u), [&bench](std::uint32_t n) { bench.repetitions = n; },
      "of each combination, after one to warm up (default 5)", group);
}

void add_output_flags(CLI::App* app, BenchOptions& bench) {
  const std::string group = "Output";
  const auto format = [&bench](BenchFormat wanted, const char* flag) {
    if (bench.format != BenchFormat::kText && bench.format != wanted)
      refuse(fmt::format("{} and another format were both given; give one of --json and --csv", flag));
    bench.format = wanted;
  };
  const auto mode = [&bench](BenchMode wanted, const char* flag) {
    if (bench.mode != BenchMode::kRuns && bench.mode != wanted)
      refuse(
          fmt::format("{} and another table were both given; give one of --overview and --probe-only", flag));
    bench.mode = wanted;
  };
  add_switch(app, "--json", [format] { format(BenchFormat::kJson, "--json"); }, "one JSON object", group);
  add_switch(
      app, "--csv", [format] { format(BenchFormat::kCsv, "--csv"); }, "one line of CSV for each row", group);
  add_switch(
      app, "--overview", [mode] { mode(BenchMode::kOverview, "--overview"); },
      "another table: loading, memory, prefill, decode at two lengths, and\nwhat a token costs with the "
      "cache "
      "and without",
      group);
  add_switch(
      app, "--probe-only", [mode] { mode(BenchMode::kProbeOnly, "--probe-only"); },
      "the machine's limits alone; takes no model", group);
  add_switch(
      app, "--no-probe", [&bench] { bench.probing = Probing::kSkip; },
      "do not measure the machine (some seconds): no shares of limits", group);
}

// Experiments of folio's developers, which are asked for elsewhere.
void refuse_experiments(CLI::App* app) {
  for (const auto& [flag, experiment] : {std::pair("--engine", "engine"), std::pair("--slots", "crowd"),
                                         std::pair("--paging", "paging"), std::pair("--trace", "trace")}) {
    const auto say = [flag, experiment] {
      refuse(
          fmt::format("{} is an experiment on folio, not on a model, and is run in its source tree: "
                      "./dev bench {}",
                      flag, experiment));
    };
    app->add_flag_callback(flag, say)->group("");
  }
}

}  // namespace

void define_bench(CLI::App* app, BenchOptions& bench) {
  add_model(app, bench.model, "SmolLM2-135M-Instruct, which ./dev run fetches");
  add_shape_flags(app, bench);
  add_setting_flags(app, bench);
  add_output_flags(app, bench);
  refuse_experiments(app);
  app->footer(
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
      "FOLIO_ISA chooses the kernels, and those that find the limits.");
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
