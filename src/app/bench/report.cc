#include "app/bench/report.h"

#include "app/status_line.h"
#include "platform/cpu.h"

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

const char* name(BenchTest test) { return test == BenchTest::kPrefill ? "prefill" : "decode"; }

std::string isa_name() {
  const auto isa = kernels::choose_isa();
  return isa ? std::string(kernels::name(*isa)) : std::string("none");
}

std::string giga(double value) { return fmt::format("{:.1f}", value / 1e9); }

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

std::string rate_text(const kernels::MeasuredLimit& limit, const char* unit) {
  return fmt::format("{:>9} {:>9} {}\n", giga(limit.one_thread), giga(limit.all_threads), unit);
}

}  // namespace

Json row_fields(const BenchRow& row) {
  const bool measured = row.bandwidth.has_value();
  const auto limit = [&](double value) { return measured ? Json(value) : Json(nullptr); };
  const double rate = row.median();
  return {{"test", name(row.test)},
          {"threads", row.setting.threads},
          {"kv_cache_dtype", kernels::name(row.setting.kv_type)},
          {"activations", name(row.setting.arithmetic)},
          {"streams", row.shape.streams},
          {"shared_prefix", row.shape.shared == SharedPrefix::kOn},
          {"depth", row.shape.depth},
          {"prompt", row.shape.prompt},
          {"generated", row.test == BenchTest::kDecode ? row.shape.generate : 0},
          {"repetitions", row.tokens_per_s.size()},
          {"tokens_per_s", rate},
          {"tokens_per_s_min", row.tokens_per_s.front()},
          {"tokens_per_s_max", row.tokens_per_s.back()},
          {"seconds", row.seconds},
          {"nominal_operations", row.work.nominal_operations},
          {"executed_operations", row.work.executed_operations},
          {"weight_bytes", row.work.weight_bytes},
          {"kv_bytes", row.work.kv_bytes},
          {"nominal_operations_per_s", row.work.nominal_operations / row.seconds},
          {"executed_operations_per_s", row.work.executed_operations / row.seconds},
          {"bytes_per_s", row.work.bytes() / row.seconds},
          {"limiting_memory", row.memory == Memory::kCache ? "cache" : "dram"},
          {"limit_tokens_per_s", limit(rate * row.seconds / row.work.limit_s)},
          {"share_of_limit", limit(row.share())},
          {"share_of_nominal_limit", limit(row.work.nominal_limit_s / row.seconds)},
          {"share_of_bandwidth", limit(row.work.bytes() / row.seconds / row.bandwidth.value_or(1))}};
}

std::string csv_header() {
  BenchRow any;
  any.tokens_per_s = {1};
  const Json fields = row_fields(any);
  std::string line;
  for (const auto& [key, value] : fields.items()) line += (line.empty() ? "" : ",") + key;
  return line + "\n";
}

// No field holds a comma, a quote or a line end.
std::string csv_line(const BenchRow& row) {
  const Json fields = row_fields(row);
  std::string line;
  bool first = true;
  for (const auto& [key, value] : fields.items()) {
    if (!first) line += ",";
    first = false;
    if (value.is_string())
      line += value.get_ref<const std::string&>();
    else if (!value.is_null())
      line += value.dump();
  }
  return line + "\n";
}

Json limits_fields(const kernels::MachineLimits& limits) {
  const auto pair = [](const kernels::MeasuredLimit& limit) {
    return Json{{"one_thread", limit.one_thread}, {"all_threads", limit.all_threads}};
  };
  return {{"isa", kernels::name(limits.isa)},
          {"threads", limits.threads},
          {"dram_bytes_per_s", pair(limits.memory)},
          {"last_level_cache_bytes_per_s", pair(limits.cache)},
          {"int8_operations_per_s", pair(limits.int8)},
          {"f32_operations_per_s", pair(limits.f32)},
          {"bf16_operations_per_s", limits.bf16 ? pair(*limits.bf16) : Json(nullptr)},
          {"int8_tile_operations_per_s", limits.int8_tiles ? pair(*limits.int8_tiles) : Json(nullptr)},
          {"bf16_tile_operations_per_s", limits.bf16_tiles ? pair(*limits.bf16_tiles) : Json(nullptr)}};
}

Json engine_fields(const engine::EngineOptions& options) {
  return {{"block_tokens", options.block_tokens},
          {"eviction", options.eviction == kv::Eviction::kCost ? "cost" : "lru"},
          {"step_tokens", options.step_tokens}};
}

Json machine_fields() {
  const platform::CpuFeatures& cpu = platform::cpu_features();
  return {{"cpu", cpu.model_name},
          {"isa", isa_name()},
          {"features", cpu.names()},
          {"l2_cache_bytes", cpu.l2_cache_bytes},
          {"last_level_cache_bytes", cpu.last_level_cache_bytes},
          {"available_cpus", platform::available_cpus()}};
}

std::string machine_text() {
  const platform::CpuFeatures& cpu = platform::cpu_features();
  return fmt::format("{}, {} processors, last-level cache {}; {} kernels\n", cpu.model_name,
                     platform::available_cpus(), format_bytes(cpu.last_level_cache_bytes), isa_name());
}

std::string limits_text(const kernels::MachineLimits& limits) {
  const auto line = [](const char* what, const kernels::MeasuredLimit& limit, const char* unit) {
    return fmt::format("  {:<24}", what) + rate_text(limit, unit);
  };
  std::string text = fmt::format("  {:<24}{:>9} {:>9}\n", "measured limits", "1 thread",
                                 limits.threads == 1 ? "1" : fmt::format("{}", limits.threads));
  text += line("memory read", limits.memory, "GB/s");
  text += line("last-level cache read", limits.cache, "GB/s");
  text += line("int8 dot products", limits.int8, "Gop/s");
  text += line("f32 multiply-adds", limits.f32, "Gop/s");
  if (limits.bf16) text += line("bf16 dot products", *limits.bf16, "Gop/s");
  if (limits.int8_tiles) text += line("int8 tiles (AMX)", *limits.int8_tiles, "Gop/s");
  if (limits.bf16_tiles) text += line("bf16 tiles (AMX)", *limits.bf16_tiles, "Gop/s");
  if (!limits.int8_tiles)
    text += fmt::format("  {:<24}{:>9} {:>9}\n", "AMX tiles", "-",
                        platform::cpu_features().amx_int8 ? "not in use" : "absent");
  return text;
}

namespace {

// threads, kv, activations, test, streams, depth, prompt, gen; median, min, max; nominal, executed, GB/s;
// shares.
constexpr const char* kTableForm =
    "{:>7} {:>4} {:>5}  {:<7} {:>7} {:>8} {:>6} {:>4}  {:>9} {:>9} {:>9}  {:>8} {:>8} {:>6}  {:>6} {:>9}\n";

template <typename... Args>
std::string table_row(const Args&... args) {
  return fmt::format(fmt::runtime(kTableForm), args...);
}

}  // namespace

std::string table_header() {
  return table_row("", "", "", "", "", "", "", "", "tok/s", "", "", "Gop/s", "Gop/s", "", "of the",
                   "of memory") +
         table_row("threads", "kv", "act", "test", "streams", "depth", "prompt", "gen", "median", "min",
                   "max", "nominal", "executed", "GB/s", "limit", "or cache");
}

std::string table_line(const BenchRow& row) {
  const bool measured = row.bandwidth.has_value();
  const double bytes_per_s = row.work.bytes() / row.seconds;
  const std::string depth = row.shape.shared == SharedPrefix::kOn ? fmt::format("{}*", row.shape.depth)
                                                                  : fmt::format("{}", row.shape.depth);
  const auto rate = [](double value) { return fmt::format("{:.1f}", value); };
  return table_row(
      row.setting.threads, kernels::name(row.setting.kv_type), name(row.setting.arithmetic), name(row.test),
      row.shape.streams, depth, row.shape.prompt,
      row.test == BenchTest::kDecode ? fmt::format("{}", row.shape.generate) : "-", rate(row.median()),
      rate(row.tokens_per_s.front()), rate(row.tokens_per_s.back()),
      giga(row.work.nominal_operations / row.seconds), giga(row.work.executed_operations / row.seconds),
      giga(bytes_per_s), measured ? percent(row.share()) : "-",
      measured ? percent(bytes_per_s / *row.bandwidth) + (row.memory == Memory::kCache ? " c" : " m") : "-");
}

}  // namespace folio::app
