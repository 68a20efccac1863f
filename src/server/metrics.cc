#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>

namespace folio::server {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using Labels = std::map<std::string, std::string>;
using Buckets = Histogram::BucketBoundaries;

const Buckets kFirstTokenS = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                              1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
const Buckets kNextTokenS = {.01, .025, .05, .075, .1,  .15, .2, .3, .4, .5,
                             .75, 1,    2.5, 5,    7.5, 10,  20, 40, 80};
const Buckets kRequestS = {.3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                           30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
const Buckets kChoices = {1, 2, 5, 10, 20};

// 1, 2, 5, 10, 20, 50, ... up to `last`.
Buckets one_two_five(double last) {
  Buckets buckets;
  for (double decade = 1;; decade *= 10)
    for (const double mantissa : {1.0, 2.0, 5.0}) {
      if (mantissa * decade > last) return buckets;
      buckets.push_back(mantissa * decade);
    }
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  Labels labels;
  Buckets lengths;

  State(const MetricFacts& facts)
      : labels{{"model_name", facts.model_name}, {"engine", "0"}},
        lengths(one_two_five(static_cast<double>(facts.longest_tokens))) {
    auto config = labels;
    config["block_size"] = std::to_string(facts.block_tokens);
    config["num_gpu_blocks"] = std::to_string(facts.blocks);
    config["num_cpu_blocks"] = std::string(1, '0');
    config["cache_dtype"] = facts.kv_type;
    config["enable_prefix_caching"] = "True";
    gauge("vllm:cache_config_info", "How the KV cache is set up; the value is 1", config).Set(1);
  }

  Labels with(const Labels& more) const {
    Labels all = labels;
    all.insert(more.begin(), more.end());
    return all;
  }
  Counter& counter(const std::string& name, const std::string& help, const Labels& more = {}) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(with(more));
  }
  Gauge& gauge(const std::string& name, const std::string& help, const Labels& more = {}) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(with(more));
  }
  Histogram& histogram(const std::string& name, const std::string& help, const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels, buckets);
  }
  // Adds the steps since the last look.
  void add(const StepSizes& steps) {
    std::vector<double> more;
    for (std::size_t i = 0; i < steps.steps.size(); ++i)
      more.push_back(static_cast<double>(steps.steps[i] - counted_steps.steps[i]));
    step_tokens.ObserveMultiple(more, static_cast<double>(steps.tokens - counted_steps.tokens));
    counted_steps = steps;
  }
  // Raises a counter to a total that the engine keeps.
  static void raise(Counter& counter, std::uint64_t total) {
    counter.Increment(std::max(0.0, static_cast<double>(total) - counter.Value()));
  }

  Gauge& running = gauge("vllm:num_requests_running", "Sequences that the engine computes");
  Gauge& waiting = gauge("vllm:num_requests_waiting", "Sequences that wait for room");
  Gauge& waiting_capacity = gauge("vllm:num_requests_waiting_by_reason",
                                  "Sequences that wait, by what they wait for", {{"reason", "capacity"}});
  Gauge& waiting_deferred = gauge("vllm:num_requests_waiting_by_reason",
                                  "Sequences that wait, by what they wait for", {{"reason", "deferred"}});
  Gauge& kv_usage = gauge("vllm:kv_cache_usage_perc", "Share of the KV blocks that sequences hold, 0 to 1");
  Gauge& kv_usage_old = gauge("vllm:gpu_cache_usage_perc", "The older name of vllm:kv_cache_usage_perc");
  Gauge& connections = gauge("folio:http_connections", "Open connections");
  Gauge& free_blocks = gauge("folio:kv_blocks", "KV blocks by state", {{"state", "free"}});
  Gauge& cached_blocks = gauge("folio:kv_blocks", "KV blocks by state", {{"state", "cached"}});
  Gauge& used_blocks = gauge("folio:kv_blocks", "KV blocks by state", {{"state", "in_use"}});

  Gauge& awake =
      gauge("vllm:engine_sleep_state", "1 for the state that the engine is in; folio's never sleeps",
            {{"sleep_state", "awake"}});
  Gauge& offloaded =
      gauge("vllm:engine_sleep_state", "1 for the state that the engine is in; folio's never sleeps",
            {{"sleep_state", "weights_offloaded"}});
  Gauge& discarded =
      gauge("vllm:engine_sleep_state", "1 for the state that the engine is in; folio's never sleeps",
            {{"sleep_state", "discard_all"}});

  Counter& queries = counter("vllm:prefix_cache_queries_total", "Prompt tokens that were looked up");
  Counter& hits =
      counter("vllm:prefix_cache_hits_total", "Prompt tokens whose keys and values were read from the cache");
  Counter& preemptions = counter("vllm:num_preemptions_total", "Sequences that gave their blocks to others");
  Counter& prompt_tokens = counter("vllm:prompt_tokens_total", "Prompt tokens of ended answers");
  Counter& cached_tokens = counter("vllm:prompt_tokens_cached_total", "Of them, read from the cache");
  Counter& computed_source =
      counter("vllm:prompt_tokens_by_source_total", "Prompt tokens of ended answers by source",
              {{"source", "local_compute"}});
  Counter& cached_source =
      counter("vllm:prompt_tokens_by_source_total", "Prompt tokens of ended answers by source",
              {{"source", "local_cache_hit"}});
  Counter& transferred_source =
      counter("vllm:prompt_tokens_by_source_total", "Prompt tokens of ended answers by source",
              {{"source", "external_kv_transfer"}});
  Counter& generation_tokens = counter("vllm:generation_tokens_total", "Generated tokens");
  Counter& evicted = counter("folio:kv_evicted_blocks_total", "Cached KV blocks lost to make room");
  Counter& copied =
      counter("folio:kv_copied_blocks_total", "KV blocks copied before a write, because they were shared");
  Counter& merged =
      counter("folio:kv_merged_blocks_total", "KV blocks computed twice at the same time and kept once");
  Counter& integrity_checks =
      counter("folio:kv_integrity_checks_total",
              "Times that the accounts of the KV blocks were proved, after a busy time");

  Histogram& step_tokens = histogram("vllm:iteration_tokens_total", "Tokens that each step computed",
                                     Buckets(StepSizes::kBounds.begin(), StepSizes::kBounds.end()));
  StepSizes counted_steps;
  Histogram& first_token_s =
      histogram("vllm:time_to_first_token_seconds", "From the request to its first token", kFirstTokenS);
  Histogram& next_token_s =
      histogram("vllm:inter_token_latency_seconds", "Between the tokens of an answer", kNextTokenS);
  Histogram& next_token_s_old = histogram("vllm:time_per_output_token_seconds",
                                          "The older name of vllm:inter_token_latency_seconds", kNextTokenS);
  Histogram& per_token_s = histogram("vllm:request_time_per_output_token_seconds",
                                     "Mean time between the tokens of an answer", kNextTokenS);
  Histogram& end_to_end_s =
      histogram("vllm:e2e_request_latency_seconds", "From the request to its last token", kRequestS);
  Histogram& queue_s = histogram("vllm:request_queue_time_seconds", "Waiting for room", kRequestS);
  Histogram& inference_s =
      histogram("vllm:request_inference_time_seconds", "From admission to the last token", kRequestS);
  Histogram& prefill_s =
      histogram("vllm:request_prefill_time_seconds", "From admission to the first token", kRequestS);
  Histogram& decode_s =
      histogram("vllm:request_decode_time_seconds", "From the first token to the last", kRequestS);
  Histogram& request_prompt = histogram("vllm:request_prompt_tokens", "Prompt tokens of a request", lengths);
  Histogram& request_generation =
      histogram("vllm:request_generation_tokens", "Generated tokens of each answer", lengths);
  Histogram& request_most =
      histogram("vllm:request_max_num_generation_tokens", "Generated tokens of each answer", lengths);
  Histogram& computed_tokens = histogram("vllm:request_prefill_kv_computed_tokens",
                                         "Prompt tokens of a request that were computed, not read", lengths);
  Histogram& params_n = histogram("vllm:request_params_n", "The field n", kChoices);
  Histogram& params_max = histogram("vllm:request_params_max_tokens", "The field max_tokens", lengths);
};

Metrics::Metrics(const MetricFacts& facts) : state_(std::make_unique<State>(facts)) {}

Metrics::~Metrics() = default;

void Metrics::first_token(double seconds) { state_->first_token_s.Observe(seconds); }

void Metrics::next_tokens(std::size_t tokens, double seconds) {
  for (std::size_t i = 0; i < tokens; ++i) {
    state_->next_token_s.Observe(seconds / static_cast<double>(tokens));
    state_->next_token_s_old.Observe(seconds / static_cast<double>(tokens));
  }
}

void Metrics::generated(std::size_t tokens) {
  state_->generation_tokens.Increment(static_cast<double>(tokens));
}

void Metrics::ended(const EndedAnswer& answer) {
  State& s = *state_;
  s.counter("vllm:request_success_total", "Answers that have ended, by reason",
            {{"finished_reason", std::string(answer.finish_reason)}})
      .Increment();
  const auto prompt = static_cast<double>(answer.prompt_tokens),
             cached = static_cast<double>(answer.cached_tokens);
  const auto generated = static_cast<double>(answer.generated_tokens);
  s.end_to_end_s.Observe(answer.end_to_end_s);
  s.request_generation.Observe(generated);
  s.request_most.Observe(generated);
  if (answer.choice == Leading::kYes) {
    s.prompt_tokens.Increment(prompt);
    s.cached_tokens.Increment(cached);
    s.computed_source.Increment(prompt - cached);
    s.cached_source.Increment(cached);
    s.request_prompt.Observe(prompt);
    s.computed_tokens.Observe(prompt - cached);
    s.params_n.Observe(static_cast<double>(answer.n));
    if (answer.max_tokens > 0) s.params_max.Observe(static_cast<double>(answer.max_tokens));
  }
  if (answer.generated_tokens == 0) return;
  s.queue_s.Observe(std::max(0.0, answer.first_token_s - answer.prefill_s));
  s.prefill_s.Observe(answer.prefill_s);
  s.decode_s.Observe(answer.decode_s);
  s.inference_s.Observe(answer.prefill_s + answer.decode_s);
  if (answer.generated_tokens > 1) s.per_token_s.Observe(answer.decode_s / (generated - 1));
}

void Metrics::answered(std::string_view path, int status) {
  state_
      ->counter("folio:http_responses_total", "HTTP answers by path and status",
                {{"path", std::string(path)}, {"status", std::to_string(status)}})
      .Increment();
}

std::string Metrics::text(const ServerState& state) {
  State& s = *state_;
  const EngineState& engine = state.engine;
  s.running.Set(static_cast<double>(engine.running));
  s.waiting.Set(static_cast<double>(engine.waiting));
  s.waiting_capacity.Set(static_cast<double>(engine.waiting));
  s.waiting_deferred.Set(0);
  s.awake.Set(1);
  s.add(engine.steps);
  const double usage = engine.kv.blocks == 0 ? 0
                                             : static_cast<double>(engine.kv.in_use_blocks) /
                                                   static_cast<double>(engine.kv.blocks);
  s.kv_usage.Set(usage);
  s.kv_usage_old.Set(usage);
  s.connections.Set(static_cast<double>(state.connections));
  s.free_blocks.Set(static_cast<double>(engine.kv.free_blocks));
  s.cached_blocks.Set(static_cast<double>(engine.kv.cached_blocks));
  s.used_blocks.Set(static_cast<double>(engine.kv.in_use_blocks));
  State::raise(s.queries, engine.kv.queried_tokens);
  State::raise(s.hits, engine.kv.hit_tokens);
  State::raise(s.preemptions, engine.preemptions);
  State::raise(s.evicted, engine.kv.evicted_blocks);
  State::raise(s.copied, engine.kv.copied_blocks);
  State::raise(s.integrity_checks, engine.integrity_checks);
  State::raise(s.merged, engine.kv.merged_blocks);
  return prometheus::TextSerializer().Serialize(s.registry.Collect());
}

}  // namespace folio::server
