#include "app/inspect/report.h"

#include <algorithm>

#include "app/version.h"
#include "capacity/plan.h"
#include "kernels/isa.h"
#include "model/model.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/topology.h"

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

bool wanted(const InspectOptions& options, std::string_view section) {
  return options.sections.empty() || std::ranges::find(options.sections, section) != options.sections.end();
}

Json error_report(const Error& error) { return {{"error", error.message}}; }

std::string_view scaling_name(model::RopeScaling scaling) {
  switch (scaling) {
    case model::RopeScaling::kNone:
      return "none";
    case model::RopeScaling::kLinear:
      return "linear";
    case model::RopeScaling::kDynamic:
      return "dynamic";
    case model::RopeScaling::kYarn:
      return "yarn";
    case model::RopeScaling::kLlama3:
      return "llama3";
  }
  return "?";
}

Json files_report(const weights::AnyModel& files) {
  if (const auto* gguf = std::get_if<weights::GgufModel>(&files))
    return {{"format", fmt::format("GGUF v{}", gguf->version)}, {"files", gguf->paths}};
  const auto& hf = std::get<weights::HfModel>(files);
  return {{"format", "Hugging Face directory"}, {"files", hf.paths}};
}

}  // namespace

Json config_report(const model::ModelConfig& config) {
  Json rope = {{"base", config.rope.base},
               {"dims", config.rope.dims},
               {"pairs", config.rope.layout == model::RopeLayout::kHalves ? "halves" : "adjacent"},
               {"scaling", scaling_name(config.rope.scaling)}};
  if (config.rope.scaling != model::RopeScaling::kNone) rope["factor"] = config.rope.factor;
  if (config.rope.original_context != 0) rope["original_context"] = config.rope.original_context;
  Json report = {{"architecture", config.architecture},
                 {"name", config.name},
                 {"layers", config.layers},
                 {"hidden", config.hidden},
                 {"heads", config.heads},
                 {"kv_heads", config.kv_heads},
                 {"head_dim", config.head_dim},
                 {"ffn", config.ffn},
                 {"vocab", config.vocab},
                 {"context", config.context},
                 {"max_context", config.max_context}};
  if (config.window != 0) report["window"] = config.window;
  report["rms_epsilon"] = std::stod(fmt::format("{}", config.rms_epsilon));  // the shortest form of the float
  report["rope"] = std::move(rope);
  return report;
}

Json memory_report(const capacity::ModelShape& shape, std::size_t context) {
  const capacity::Machine machine = capacity::this_machine(platform::available_cpus());
  const auto plan = capacity::plan(machine, shape, {.context_tokens = context});
  if (!plan) return error_report(plan.error());
  Json lines = Json::object();
  for (const capacity::Line& line : plan->lines) lines[line.tag] = line.bytes;
  return {{"lines", std::move(lines)}, {"bytes", plan->total_bytes()}};
}

Json kv_report(const weights::TensorStore& tensors, const model::ModelConfig& config,
               const InspectOptions& options) {
  const auto isa = kernels::choose_isa();
  const kernels::KvType type =
      options.engine.kv_type.value_or(engine::default_kv_type(isa.value_or(kernels::Isa::kReference)));
  const auto geometry = kv::KvGeometry::create(model::kv_shape(config, type, options.engine.block_tokens));
  if (!geometry) return error_report(geometry.error());
  const std::size_t context =
      options.engine.context_tokens == 0 ? config.context : options.engine.context_tokens;
  const std::size_t blocks = geometry->blocks_for(context);
  return {{"dtype", kernels::name(type)},
          {"block_tokens", geometry->block_tokens()},
          {"bytes_per_token", geometry->bytes_per_token()},
          {"padding_bytes_per_token", geometry->padding_bytes_per_token()},
          {"bytes_per_block", geometry->block_bytes()},
          {"formula", geometry->formula()},
          {"context_tokens", context},
          {"blocks", blocks},
          {"bytes", blocks * geometry->block_bytes()},
          {"available_memory_bytes", platform::available_bytes()},
          {"run", memory_report(capacity::shape_of(tensors, config, *geometry, {}), context)}};
}

Json tensors_report(const weights::TensorStore& tensors) {
  Json list = Json::array();
  struct Total {
    std::string_view type;
    std::uint64_t count, bytes;
  };
  std::vector<Total> totals;
  for (const weights::Tensor& tensor : tensors.all()) {
    const std::string_view type = kernels::info(tensor.type).name;
    list.push_back(
        {{"name", tensor.name}, {"type", type}, {"shape", tensor.shape}, {"bytes", tensor.data.size()}});
    auto total = std::ranges::find(totals, type, &Total::type);
    if (total == totals.end()) total = totals.insert(totals.end(), {type, 0, 0});
    ++total->count;
    total->bytes += tensor.data.size();
  }
  Json unused = Json::array();
  for (const weights::ForeignTensor& tensor : tensors.foreign())
    unused.push_back({{"name", tensor.name}, {"type", tensor.type}});
  Json by_type = Json::array();
  for (const Total& total : totals)
    by_type.push_back({{"type", total.type}, {"count", total.count}, {"bytes", total.bytes}});
  return {{"count", tensors.all().size()},
          {"bytes", tensors.total_bytes()},
          {"by_type", by_type},
          {"list", list},
          {"unused", unused}};
}

Result<Json> model_report(const std::string& path, const InspectOptions& options) {
  FOLIO_TRY(files, weights::open_model(path));
  const auto config = std::visit([](const auto& model) { return model::read_config(model); }, files);
  Json report;
  if (wanted(options, "model")) {
    report["model"] = {{"path", path}};
    report["model"].update(files_report(files));
    report["model"]["tensor_bytes"] = tensors_of(files).total_bytes();
    report["model"]["config"] = config ? config_report(*config) : error_report(config.error());
  }
  if (wanted(options, "metadata")) report["metadata"] = metadata_report(files);
  if (wanted(options, "tensors")) report["tensors"] = tensors_report(tensors_of(files));
  if (wanted(options, "tokenizer") || wanted(options, "template")) {
    Json text = text_report(files);
    for (const char* section : {"tokenizer", "template"})
      if (wanted(options, section)) report[section] = std::move(text[section]);
  }
  if (wanted(options, "kv"))
    report["kv"] = config ? kv_report(tensors_of(files), *config, options) : error_report(config.error());
  return report;
}

// What the arenas of weights, keys and values may count on.
std::string huge_pages() {
  const std::string mode = platform::huge_page_mode();
  if (mode == "always" || mode == "madvise") return mode + ": the arenas get them";
  if (mode == "never")
    return "never: reading weights is slower; as root, echo madvise > "
           "/sys/kernel/mm/transparent_hugepage/enabled";
  return "unknown to this system";
}

// Nodes without usable processors are shown too: their memory is there.
Json topology_report() {
  const platform::Topology& topology = platform::machine_topology();
  Json nodes = Json::array();
  for (const platform::NumaNode& node : topology.nodes)
    nodes.push_back({{"node", node.number},
                     {"cores", node.cores},
                     {"hardware_threads", node.processors.size()},
                     {"memory_bytes", node.memory_bytes}});
  const std::size_t used = platform::placement_topology().nodes.size();
  return {{"cores", topology.cores()},
          {"hardware_threads", topology.processors()},
          {"numa_nodes", std::move(nodes)},
          {"binding", used < 2 ? "none: one node"
                               : fmt::format("threads to the processors of {} nodes, KV and activations "
                                             "interleaved over them",
                                             used)}};
}

Json cpu_report() {
  const platform::CpuFeatures& cpu = platform::cpu_features();
  Json built = Json::array(), available = Json::array();
  for (const kernels::Isa isa : kernels::built_isas()) built.push_back(kernels::name(isa));
  for (const kernels::Isa isa : kernels::available_isas()) available.push_back(kernels::name(isa));
  const char* const forced = std::getenv("FOLIO_ISA");
  const bool is_forced = forced != nullptr && *forced != '\0';
  const auto chosen = kernels::choose_isa();
  Json isas = {{"built", built}, {"available", available}};
  if (chosen) {
    isas["chosen"] = kernels::name(*chosen);
    isas["why"] = is_forced ? fmt::format("FOLIO_ISA={} says so", forced)
                            : std::string("the fastest that this machine executes");
  } else {
    isas["error"] = chosen.error().message;
  }
  return {{"model", cpu.model_name},
          {"features", cpu.names()},
          {"kernels", isas},
          {"l2_cache_bytes", cpu.l2_cache_bytes},
          {"last_level_cache_bytes", cpu.last_level_cache_bytes},
          {"threads", platform::available_cpus()},
          {"topology", topology_report()},
          {"available_memory_bytes", platform::available_bytes()},
          {"huge_pages", huge_pages()},
          {"folio", {{"version", kVersion}, {"build", build_type()}, {"compiler", compiler()}}}};
}

}  // namespace folio::app
