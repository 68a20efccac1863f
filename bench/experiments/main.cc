// folio-experiments: what blocks, shared prefixes and many requests at once are worth, and what they cost.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>

#include "app/console.h"
#include "options.h"
#include "table.h"

namespace folio::experiments {
namespace {

using Table = Status (*)(const Options&, app::Console&);

void add_threads(CLI::App& experiment, Options& options) {
  experiment.add_option("-t,--threads", options.threads, "default 0: as many as affinity and cgroup allow")
      ->check(CLI::Range(0, 256));
}

void add_kv_type(CLI::App& experiment, Options& options) {
  using KvType = std::optional<kernels::KvType>;
  const std::map<std::string, KvType> known = {{"auto", std::nullopt},
                                               {"f32", kernels::KvType::kF32},
                                               {"f16", kernels::KvType::kF16},
                                               {"bf16", kernels::KvType::kBF16}};
  experiment
      .add_option_function<std::string>(
          "--kv-cache-dtype",
          [&options, known](const std::string& name) { options.kv_type = known.at(name); },
          "type of the numbers in the cache (default auto)")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16"}));
}

void add_activations(CLI::App& experiment, Options& options) {
  using kernels::Arithmetic;
  const std::map<std::string, Arithmetic> known = {
      {"mixed", Arithmetic::kMixed}, {"int16", Arithmetic::kInt16}, {"f32", Arithmetic::kFloat}};
  experiment
      .add_option_function<std::string>(
          "--activations",
          [&options, known](const std::string& name) { options.arithmetic = known.at(name); },
          "what is multiplied with quantised weights (default mixed)")
      ->check(CLI::IsMember({"mixed", "int16", "f32"}));
}

void add_probing(CLI::App& experiment, Options& options) {
  experiment.add_flag_callback(
      "--no-probe", [&options] { options.probing = Probing::kSkip; },
      "do not measure the machine (some seconds): no shares of limits");
}

// The experiments, each with the flags that mean something to it.
class CommandLine {
 public:
  CommandLine() {
    app_.require_subcommand(1);
    app_.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    CLI::App& engine =
        add("engine", engine_table, "many requests at once, found prefixes, shared blocks, upkeep");
    engine.add_option("-m,--model,MODEL", options_.model, "a model; without it the default model");
    engine.add_option("--trace", options_.trace, "requests to replay too: JSON lines with \"hash_ids\"");
    add_threads(engine, options_);
    add_kv_type(engine, options_);
    add_activations(engine, options_);
    add_probing(engine, options_);
    CLI::App& crowd = add("crowd", crowd_table, "of these the rows that take no model");
    add_threads(crowd, options_);
    add_probing(crowd, options_);
    CLI::App& trace = add("trace", trace_table, "of these the rows about a trace; no model");
    trace.add_option("--trace,TRACE", options_.trace, "requests to replay: JSON lines with \"hash_ids\"");
    CLI::App& paging =
        add("paging", paging_table, "attention over blocks against one run of memory; no model");
    add_threads(paging, options_);
    add_kv_type(paging, options_);
  }

  CLI::App& app() { return app_; }
  const Options& options() const { return options_; }
  Table chosen() const { return table_; }

 private:
  CLI::App& add(const std::string& name, Table table, const std::string& help) {
    CLI::App& experiment = *app_.add_subcommand(name, help);
    experiment.add_flag_callback("--json", [this] { options_.format = Format::kJson; }, "one JSON object");
    experiment.callback([this, table] { table_ = table; });
    return experiment;
  }

  CLI::App app_{"Experiments on folio's engine. docs/benchmarks.md explains the figures.",
                "folio-experiments"};
  Options options_;
  Table table_ = nullptr;
};

}  // namespace
}  // namespace folio::experiments

int main(int argc, char** argv) {
  folio::experiments::CommandLine line;
  CLI11_PARSE(line.app(), argc, argv);
  folio::app::Console console = folio::app::Console::standard_streams();
  const folio::Status done = line.chosen()(line.options(), console);
  if (done && !console.failure()) return 0;
  console.print(
      fmt::format("folio-experiments: {}\n", done ? console.failure()->message : done.error().message));
  return 1;
}
