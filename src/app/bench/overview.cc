#include "app/bench/overview.h"

#include <algorithm>
#include <array>

#include "app/bench/engine.h"
#include "app/bench/report.h"
#include "app/defaults.h"
#include "app/status_line.h"
#include "platform/cpu.h"
#include "weights/open.h"

namespace folio::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPrompt = 512;
constexpr std::size_t kDecodeTokens = 64;
constexpr std::size_t kComparedTokens = 4;
constexpr std::array<std::size_t, 2> kDecodeContexts = {128, 2048};
constexpr std::array<std::size_t, 3> kComparedContexts = {128, 512, 2048};
constexpr std::size_t kContext = kDecodeContexts.back() + 2 * kDecodeTokens;

Result<BenchEngine> load(const BenchOptions& options, const std::string& path, engine::KvUse use) {
  BenchEngineOptions wanted{.engine = options.engine, .context_tokens = kContext, .kv_tokens = 0};
  wanted.engine.model = path;
  wanted.engine.threads = options.threads.front();
  wanted.engine.kv_type = options.kv_types.front();
  wanted.engine.arithmetic = options.arithmetic.front();
  wanted.engine.kv_use = use;
  return BenchEngine::load(std::move(wanted));
}

// The median of a figure of several runs of one shape.
template <typename Figure>
Result<double> median_of(BenchEngine& engine, const RunShape& shape, std::size_t repetitions, Figure figure) {
  std::vector<double> values;
  for (std::size_t i = 0; i < repetitions; ++i) {
    FOLIO_TRY(times, engine.run(shape));
    values.push_back(figure(times));
  }
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double per_token(const RunTimes& times) { return times.decode_s / static_cast<double>(times.decode_tokens); }

// Bytes that one decode step reads: all weights once, and the keys and values of the context.
Status measure_decode(Json& json, BenchEngine& engine, std::size_t repetitions,
                      const kernels::MachineLimits& limits) {
  for (const std::size_t context : kDecodeContexts) {
    FOLIO_TRY(token_s,
              median_of(engine, {.prompt = context, .generate = kDecodeTokens}, repetitions, per_token));
    const std::size_t seen = context + kDecodeTokens / 2;  // of a mean step
    const auto kv = static_cast<double>(seen * engine.engine().kv_geometry().bytes_per_token());
    const double bytes_per_s =
        (static_cast<double>(engine.engine().model().step_weight_bytes()) + kv) / token_s;
    json["decode"].push_back({{"context", context},
                              {"tokens_per_s", 1 / token_s},
                              {"bytes_per_s", bytes_per_s},
                              {"share_of_dram", bytes_per_s / limits.memory.all_threads},
                              {"share_of_cache", bytes_per_s / limits.cache.all_threads}});
  }
  return {};
}

Status measure_cache_worth(Json& json, BenchEngine& cached, BenchEngine& recomputing) {
  for (const std::size_t context : kComparedContexts) {
    const RunShape shape{.prompt = context, .generate = kComparedTokens};
    FOLIO_TRY(with_s, median_of(cached, shape, 3, per_token));
    FOLIO_TRY(without_s, median_of(recomputing, shape, 1, per_token));
    json["cache_worth"].push_back(
        {{"context", context}, {"with_ms", 1000 * with_s}, {"without_ms", 1000 * without_s}});
  }
  return {};
}

Status check_context(const std::string& path) {
  FOLIO_TRY(files, weights::open_model(path));
  FOLIO_TRY(config, std::visit([](const auto& model) { return model::read_config(model); }, files));
  if (config.max_context < kContext)
    return fail(
        ErrorKind::kTooLarge,
        "{}: --overview needs a context of {} tokens, the model takes {}; measure it with --prompt, --gen "
        "and --depth instead",
        path, kContext, config.max_context);
  return {};
}

Result<Json> measure(const BenchOptions& options, const std::string& path) {
  FOLIO_TRY(cached, load(options, path, engine::KvUse::kCache));
  FOLIO_TRY(first, cached.run({.prompt = 16}));
  const engine::MemoryUse memory = cached.engine().memory_use();
  const auto rate = [](const RunTimes& times) { return static_cast<double>(kPrompt) / times.prefill_s; };
  FOLIO_TRY(prefill, median_of(cached, {.prompt = kPrompt}, options.repetitions, rate));
  FOLIO_TRY(limits,
            kernels::measure_limits({.isa = cached.engine().isa(), .threads = cached.engine().threads()}));
  Json json = {{"cpu", platform::cpu_features().model_name},
               {"isa", kernels::name(cached.engine().isa())},
               {"threads", cached.engine().threads()},
               {"model", path},
               {"load_s", cached.load_s()},
               {"first_token_s", cached.load_s() + first.prefill_s},
               {"weights_bytes", memory.weight_bytes},
               {"kv_arena_bytes", memory.kv_bytes},
               {"resident_bytes", memory.resident_bytes},
               {"peak_load_bytes", memory.peak_resident_bytes},
               {"huge_page_bytes", memory.huge_page_bytes},
               {"prefill_512_tokens_per_s", prefill},
               {"limits", limits_fields(limits)}};
  FOLIO_TRY_STATUS(measure_decode(json, cached, options.repetitions, limits));
  FOLIO_TRY(recomputing, load(options, path, engine::KvUse::kRecompute));
  FOLIO_TRY_STATUS(measure_cache_worth(json, cached, recomputing));
  return json;
}

std::string text_of(const Json& j) {
  const auto number = [&](const char* key) { return j[key].get<double>(); };
  const Json& limits = j["limits"];
  const auto limit = [&](const char* key) { return limits[key]["all_threads"].get<double>() / 1e9; };
  std::string out =
      fmt::format("{}, {} kernels, {} threads\n{}\n\n", j["cpu"].get<std::string>(),
                  j["isa"].get<std::string>(), j["threads"].get<int>(), j["model"].get<std::string>());
  out += fmt::format("memory read, all threads     {:8.1f} GB/s\n", limit("dram_bytes_per_s"));
  out += fmt::format("last-level cache read        {:8.1f} GB/s\n", limit("last_level_cache_bytes_per_s"));
  out += fmt::format("load                         {:8.3f} s   (first token after {:.3f} s)\n",
                     number("load_s"), number("first_token_s"));
  out += fmt::format(
      "resident after loading       {:8.0f} MB  (weights {:.0f} MB, peak {:.0f} MB; {:.0f} MB in huge "
      "pages)\n",
      number("resident_bytes") / 1e6, number("weights_bytes") / 1e6, number("peak_load_bytes") / 1e6,
      number("huge_page_bytes") / 1e6);
  out +=
      fmt::format("prefill, {} tokens          {:8.1f} tok/s\n", kPrompt, number("prefill_512_tokens_per_s"));
  for (const Json& row : j["decode"])
    out += fmt::format(
        "decode at {:>5} context      {:8.1f} tok/s  {:.1f} GB/s: {:.0f} % of memory, {:.0f} % of the "
        "cache\n",
        row["context"].get<std::size_t>(), row["tokens_per_s"].get<double>(),
        row["bytes_per_s"].get<double>() / 1e9, 100 * row["share_of_dram"].get<double>(),
        100 * row["share_of_cache"].get<double>());
  out += "\nms per token     with the cache   --no-kv-cache   worth\n";
  for (const Json& row : j["cache_worth"])
    out +=
        fmt::format("context {:>6}   {:>14.1f}   {:>13.1f}   {:>4.0f}x\n", row["context"].get<std::size_t>(),
                    row["with_ms"].get<double>(), row["without_ms"].get<double>(),
                    row["without_ms"].get<double>() / row["with_ms"].get<double>());
  return out;
}

}  // namespace

Status overview(const BenchOptions& options, Console& console) {
  FOLIO_TRY(path, resolve_model(options.model));
  FOLIO_TRY_STATUS(check_context(path));
  FOLIO_TRY(json, measure(options, path));
  console.answer(options.format == BenchFormat::kJson
                     ? json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                     : text_of(json));
  return {};
}

}  // namespace folio::app
