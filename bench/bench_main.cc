// folio-bench [--json] [MODEL]: what one conversation costs on this machine, beside the machine's measured
// limits.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/bandwidth.h"
#include "engine/engine.h"
#include "platform/cpu.h"
#include "platform/memory.h"

namespace {

using namespace folio;
using Json = nlohmann::ordered_json;

constexpr int kRepetitions = 5;
constexpr std::size_t kDecodeTokens = 64;
constexpr std::size_t kComparedTokens = 4;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double median_of(int repetitions, const std::function<double()>& measure) {
  std::vector<double> values;
  for (int i = 0; i < repetitions; ++i) values.push_back(measure());
  return median(values);
}

// Ids spread over the vocabulary; which ones does not matter for the time.
std::vector<TokenId> some_tokens(std::size_t count, std::uint32_t vocab) {
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; i < count; ++i)
    tokens.push_back(TokenId{static_cast<int>((i * 7919 + 13) % (vocab - vocab / 16))});
  return tokens;
}

// Runs one request from a cold cache (its own salt) to its end.
engine::GenerationStats generate(engine::Engine& engine, std::size_t prompt, std::size_t tokens) {
  static int salt = 0;
  engine::GenerationRequest request;
  request.prompt = some_tokens(prompt, engine.config().vocab);
  request.max_tokens = tokens;
  request.sampling.temperature = 0;
  request.end_tokens = engine::EndTokens::kIgnore;
  request.cache_salt = std::to_string(salt++);
  const auto job = engine.submit(std::move(request));
  if (!job) {
    fmt::print(stderr, "folio-bench: {}\n", job.error().message);
    std::exit(1);
  }
  while (engine.step()) {
  }
  return job->stream->stats();
}

std::unique_ptr<engine::Engine> load(const std::string& model, engine::KvUse use) {
  auto loaded = engine::Engine::load({.model = model, .context_tokens = 2304, .kv_use = use});
  if (!loaded) {
    fmt::print(stderr, "folio-bench: {}\n", loaded.error().message);
    std::exit(1);
  }
  return std::move(*loaded);
}

struct Limits {
  double dram, cache;  // bytes per second, all threads
};

Limits measure_limits(int threads) {
  const std::size_t cache = platform::cpu_features().last_level_cache_bytes;
  return {.dram = bench::read_bandwidth(std::max<std::size_t>(cache * 8, std::size_t{512} << 20), threads),
          .cache = bench::read_bandwidth(std::max<std::size_t>(cache / 4, std::size_t{2} << 20), threads)};
}

struct DecodeRow {
  std::size_t context;
  double tokens_per_s, bytes_per_s;
};

// Bytes that one decode step reads: all weights once, and the keys and values of the context.
DecodeRow measure_decode(engine::Engine& engine, std::size_t context) {
  const double rate = median_of(
      kRepetitions, [&] { return generate(engine, context, kDecodeTokens + 1).decode_tokens_per_s(); });
  const double kv =
      static_cast<double>((context + kDecodeTokens / 2) * engine.kv_geometry().bytes_per_token());
  return {.context = context,
          .tokens_per_s = rate,
          .bytes_per_s = rate * (static_cast<double>(engine.model().step_weight_bytes()) + kv)};
}

struct CacheRow {
  std::size_t context;
  double with_ms, without_ms;  // per token
};

CacheRow measure_cache_worth(engine::Engine& cached, engine::Engine& recomputing, std::size_t context) {
  const auto per_token = [&](engine::Engine& engine) {
    return 1000 * generate(engine, context, kComparedTokens + 1).decode_s / kComparedTokens;
  };
  return {.context = context,
          .with_ms = median_of(3, [&] { return per_token(cached); }),
          .without_ms = per_token(recomputing)};
}

Json report(const std::string& model) {
  const auto start = std::chrono::steady_clock::now();
  auto cached = load(model, engine::KvUse::kCache);
  const double load_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double first_token_s = load_s + generate(*cached, 16, 1).first_token_s;
  const engine::MemoryUse memory = cached->memory_use();

  Json json;
  json["cpu"] = platform::cpu_features().model_name;
  json["isa"] = kernels::name(cached->isa());
  json["threads"] = cached->threads();
  json["model"] = model;
  json["load_s"] = load_s;
  json["first_token_s"] = first_token_s;
  json["weights_bytes"] = memory.weight_bytes;
  json["peak_load_bytes"] = memory.peak_resident_bytes;
  json["prefill_512_tokens_per_s"] =
      median_of(kRepetitions, [&] { return generate(*cached, 512, 1).prefill_tokens_per_s(); });
  const Limits limits = measure_limits(cached->threads());
  json["dram_bytes_per_s"] = limits.dram;
  json["last_level_cache_bytes_per_s"] = limits.cache;
  for (std::size_t context : {128, 2048}) {
    const DecodeRow row = measure_decode(*cached, context);
    json["decode"].push_back({{"context", row.context},
                              {"tokens_per_s", row.tokens_per_s},
                              {"bytes_per_s", row.bytes_per_s},
                              {"share_of_dram", row.bytes_per_s / limits.dram},
                              {"share_of_cache", row.bytes_per_s / limits.cache}});
  }
  auto recomputing = load(model, engine::KvUse::kRecompute);
  for (std::size_t context : {128, 512, 2048}) {
    const CacheRow row = measure_cache_worth(*cached, *recomputing, context);
    json["cache_worth"].push_back(
        {{"context", row.context}, {"with_ms", row.with_ms}, {"without_ms", row.without_ms}});
  }
  json["kv_arena_bytes"] = memory.kv_bytes;
  json["resident_bytes"] = memory.resident_bytes;
  return json;
}

void print(const Json& j) {
  const auto gb = [](const Json& value) { return value.get<double>() / 1e9; };
  const auto mb = [](const Json& value) { return value.get<double>() / 1e6; };
  fmt::print("{}, {} kernels, {} threads\n{}\n\n", j["cpu"].get<std::string>(), j["isa"].get<std::string>(),
             j["threads"].get<int>(), j["model"].get<std::string>());
  fmt::print("memory read, all threads     {:8.1f} GB/s\n", gb(j["dram_bytes_per_s"]));
  fmt::print("last-level cache read        {:8.1f} GB/s\n", gb(j["last_level_cache_bytes_per_s"]));
  fmt::print("load                         {:8.3f} s   (first token after {:.3f} s)\n",
             j["load_s"].get<double>(), j["first_token_s"].get<double>());
  fmt::print("resident after loading       {:8.0f} MB  (weights {:.0f} MB, peak {:.0f} MB)\n",
             mb(j["resident_bytes"]), mb(j["weights_bytes"]), mb(j["peak_load_bytes"]));
  fmt::print("prefill, 512 tokens          {:8.1f} tok/s\n", j["prefill_512_tokens_per_s"].get<double>());
  for (const Json& row : j["decode"])
    fmt::print(
        "decode at {:>5} context      {:8.1f} tok/s  {:.1f} GB/s: {:.0f} % of memory, {:.0f} % of the "
        "cache\n",
        row["context"].get<int>(), row["tokens_per_s"].get<double>(), gb(row["bytes_per_s"]),
        100 * row["share_of_dram"].get<double>(), 100 * row["share_of_cache"].get<double>());
  fmt::print("\nms per token     with the cache   --no-kv-cache   worth\n");
  for (const Json& row : j["cache_worth"])
    fmt::print("context {:>6}   {:>14.1f}   {:>13.1f}   {:>4.0f}x\n", row["context"].get<int>(),
               row["with_ms"].get<double>(), row["without_ms"].get<double>(),
               row["without_ms"].get<double>() / row["with_ms"].get<double>());
}

}  // namespace

int main(int argc, char** argv) {
  bool as_json = false;
  std::string model;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json")
      as_json = true;
    else if (argument.starts_with("-") || !model.empty()) {
      fmt::print(stderr, "usage: folio-bench [--json] MODEL\n");
      return 2;
    } else
      model = argument;
  }
  if (model.empty()) {
    fmt::print(stderr, "folio-bench: name a model: a GGUF file or a Hugging Face directory\n");
    return 2;
  }
  const Json json = report(model);
  if (as_json)
    fmt::print("{}\n", json.dump(2));
  else
    print(json);
}
