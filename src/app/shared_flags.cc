#include "app/shared_flags.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>

#include "app/flag_kinds.h"
#include "kernels/attention/kv_type.h"
#include "kv/kv_geometry.h"
#include "model/model_config.h"

namespace folio::app {
namespace {

using engine::EngineOptions;
using enum Verb;

// Collects the rows that mean something to one command.
class RowsOfVerb {
 public:
  explicit RowsOfVerb(Verb verb) : verb_(verb) {}
  void add(std::initializer_list<Verb> verbs, Flag flag) {
    if (std::ranges::find(verbs, verb_) != verbs.end()) rows_.push_back(std::move(flag));
  }
  std::vector<Flag> take() { return std::move(rows_); }

 private:
  Verb verb_;
  std::vector<Flag> rows_;
};

Flag kv_type_row(const std::string& group, std::optional<kernels::KvType>& target) {
  const std::vector<std::string> names = {"auto", "f32", "f16", "bf16"};
  Flag flag = choice_of({.names = "--kv-cache-dtype",
                         .help = "type of the keys and values in the cache (default auto: f16, or f32 where "
                                 "only the plain C++ kernels run)",
                         .group = group},
                        names, {"", "float32", "float16", "bfloat16"},
                        [names, &target](std::size_t i) { target = kernels::kv_type_from_name(names[i]); });
  flag.set = [set = std::move(flag.set)](std::span<const std::string> values) -> Status {
    if (auto done = set(values); !done)
      return fail(ErrorKind::kUnsupported, "{}; other types are not supported yet", done.error().message);
    return {};
  };
  return flag;
}

void add_cache_rows(RowsOfVerb& rows, Verb verb, EngineOptions& e) {
  const std::string group = "KV cache";
  rows.add(
      {kRun, kServe, kBatch, kInspect},
      count({.names = verb == kServe ? "--max-model-len,-c,--ctx-size" : "-c,--ctx-size,--max-model-len",
             .help = "maximum length of prompt and answer together, in tokens (default auto: the model's "
                     "context, or what memory allows)",
             .group = group},
            {.last = model::kMaxContext, .unset = {"auto", "-1"}}, e.context_tokens));
  rows.add({kRun, kBatch},
           count_with(
               {.names = "--kv-tokens",
                .help = "size of the KV cache in tokens, of all sequences and conversation branches together "
                        "(default 0: one context)",
                .group = group},
               {.last = model::kMaxContext}, [&e](std::optional<std::size_t> tokens) {
                 e.kv_size = tokens.value_or(0) == 0 ? capacity::KvSize(capacity::KvAutomatic{})
                                                     : capacity::KvTokens{*tokens};
               }));
  rows.add({kRun, kServe, kBatch, kInspect, kBench}, kv_type_row(group, e.kv_type));
  rows.add(
      {kRun, kServe, kBatch, kInspect, kBench},
      count({.names = "--block-size",
             .help = fmt::format("tokens per KV block, a multiple of {} from {} to {} (default {})",
                                 kernels::kTileTokens, kernels::kTileTokens, kv::kMaxBlockTokens,
                                 EngineOptions{}.block_tokens),
             .group = group},
            {.first = kernels::kTileTokens, .last = kv::kMaxBlockTokens, .multiple_of = kernels::kTileTokens},
            e.block_tokens));
  rows.add(
      {kRun, kServe, kBatch, kBench},
      choice<kv::Eviction>({.names = "--eviction",
                            .help = "which cached blocks are evicted first: the least recently used (lru, "
                                    "default), or the cheapest to recompute (cost)",
                            .group = group},
                           {{"lru", kv::Eviction::kLru}, {"cost", kv::Eviction::kCost}}, e.eviction));
  rows.add({kRun, kBatch},
           toggle({.names = "--no-kv-cache",
                   .help = "recompute the whole sequence for every token: the same text, slowly; shows "
                           "what the cache is worth",
                   .group = group},
                  e.kv_use, engine::KvUse::kRecompute, engine::KvUse::kCache));
  rows.add({kBatch},
           count_with({.names = "--swap-space",
                       .help = "RAM in MB for the blocks of preempted sequences (default 0: they are "
                               "recomputed)",
                       .group = group},
                      {.last = 1u << 20},
                      [&e](std::optional<std::size_t> n) { e.swap_bytes = n.value_or(0) << 20; }));
}

void add_step_rows(RowsOfVerb& rows, EngineOptions& e, const std::string& group) {
  rows.add({kServe, kBatch},
           count({.names = "--max-num-seqs",
                  .help = "maximum number of sequences that are computed at the same time (default 64)",
                  .group = group},
                 {.first = 1, .last = engine::kMaxSequences}, e.max_num_seqs));
  rows.add({kRun, kServe, kBatch, kBench},
           count({.names = "--max-num-batched-tokens",
                  .help = fmt::format("maximum number of tokens in one step (default {})",
                                      EngineOptions{}.step_tokens),
                  .group = group},
                 {.first = 1, .last = engine::kMaxStepTokens}, e.step_tokens));
  rows.add({kServe, kBatch},
           count({.names = "--long-prefill-token-threshold",
                  .help = "maximum number of tokens of one prompt in one step (default 0: no limit)",
                  .group = group},
                 {.last = engine::kMaxStepTokens}, e.long_prefill_token_threshold));
  rows.add(
      {kServe, kBatch},
      toggle(
          {.names = "--enable-chunked-prefill",
           .help = "split long prompts over several steps, beside the tokens of other sequences (default on; "
                   "off: --no-enable-chunked-prefill)",
           .group = group},
          e.chunked_prefill, scheduler::ChunkedPrefill::kOn, scheduler::ChunkedPrefill::kOff));
  rows.add(
      {kServe, kBatch},
      count({.names = "--step-budget-ms",
             .help = fmt::format("target time of a step that computes prompts beside the tokens of other "
                                 "sequences, in ms; 0: no limit (default {})",
                                 EngineOptions{}.step_budget_ms),
             .group = group},
            {.last = 1'000'000}, e.step_budget_ms));
}

void add_order_rows(RowsOfVerb& rows, EngineOptions& e, const std::string& group) {
  rows.add(
      {kServe, kBatch},
      choice<scheduler::Policy>(
          {.names = "--scheduling-policy",
           .help =
               "order of requests: first come, first served (fcfs, default), or by their field \"priority\", "
               "smaller first (priority)",
           .group = group},
          {{"fcfs", scheduler::Policy::kFcfs}, {"priority", scheduler::Policy::kPriority}}, e.policy));
  const auto fairness = [&](std::string names, std::string help) {
    return toggle({.names = std::move(names), .help = std::move(help), .group = group}, e.fairness,
                  scheduler::Fairness::kTenants, scheduler::Fairness::kNone);
  };
  rows.add({kServe},
           fairness("--fair-api-keys",
                    "every API key gets an equal share of the steps, however many requests it has"));
  rows.add({kBatch},
           fairness("--fair-users",
                    "every \"user\" that requests name gets an equal share of the steps, however many "
                    "requests it has"));
}

void add_computing_rows(RowsOfVerb& rows, EngineOptions& e) {
  const std::string group = "Computing";
  rows.add({kRun, kServe, kBatch, kBench},
           count({.names = "-t,--threads",
                  .help = "number of threads (default 0: as many as CPU affinity and cgroup allow)",
                  .group = group},
                 {.last = engine::kMaxThreads}, e.threads));
  rows.add({kRun, kServe, kBatch, kBench},
           count({.names = "--memory",
                  .help = "maximum memory of everything together, e.g. 8G: weights, KV cache and the rest "
                          "(default: what the machine, its cgroups and ulimit allow)",
                  .group = group},
                 {.first = 1, .last = std::size_t{1} << 52}, e.memory_bytes));
  using Type = std::optional<kernels::TensorType>;
  rows.add({kRun, kServe, kBatch},
           choice<Type>({.names = "--weights",
                         .help = "convert wider weights to this type while loading (default as-stored)",
                         .group = group},
                        {{"as-stored", std::nullopt},
                         {"q8_0", kernels::TensorType::kQ8_0},
                         {"q4_0", kernels::TensorType::kQ4_0}},
                        e.quantize));
  const std::vector<std::string> arithmetics = {"mixed", "int16", "f32"};
  rows.add(
      {kRun, kServe, kBatch, kBench},
      choice_of({.names = "--activations",
                 .help = "type of the activations that are multiplied with quantised weights (default mixed: "
                         "int8, and 16 bits where a row's values stand out; int16 is the most exact and "
                         "doubles the work of a prompt; f32 is slow). With bf16 weights, mixed rounds "
                         "activations to bf16",
                 .group = group},
                arithmetics, std::vector<std::string>(arithmetics.size()), [arithmetics, &e](std::size_t i) {
                  e.arithmetic = kernels::arithmetic_of(arithmetics[i]).value_or(e.arithmetic);
                }));
}

}  // namespace

std::vector<Flag> engine_flags(Verb verb, EngineOptions& engine) {
  RowsOfVerb rows(verb);
  add_cache_rows(rows, verb, engine);
  add_step_rows(rows, engine, "Scheduling");
  add_order_rows(rows, engine, "Scheduling");
  add_computing_rows(rows, engine);
  return rows.take();
}

Flag model_flag(std::string names, std::string_view otherwise, std::string& model) {
  return text(
      {.names = std::move(names),
       .help = fmt::format(
           "a GGUF file, a Hugging Face directory, or the name of a pulled model (default: {})", otherwise),
       .group = "Model",
       .type = "PATH"},
      model);
}

Flag pooling_flag(engine::Pooling& pooling) {
  Flag flag =
      choice<engine::Pooling>({.names = "--pooling-type",
                               .help = "pooling of /v1/embeddings: the hidden state of the last token (last, "
                                       "default), or the mean over all tokens (mean)",
                               .group = "Model"},
                              {{"last", engine::Pooling::kLast}, {"mean", engine::Pooling::kMean}}, pooling);
  flag.set = [&pooling](std::span<const std::string> values) -> Status {  // in any case, as vLLM takes them
    FOLIO_TRY(read, read_pooling("--pooling-type", values.back()));
    pooling = read;
    return {};
  };
  return flag;
}

Result<engine::Pooling> read_pooling(std::string_view what, std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "last") return engine::Pooling::kLast;
  if (name == "mean") return engine::Pooling::kMean;
  return fail(ErrorKind::kUnsupported, "{} takes last or mean, not '{}'", what, name);
}

Flag statistics_flag(std::string group, std::string help, Statistics& statistics) {
  return toggle({.names = "--no-stats", .help = std::move(help), .group = std::move(group)}, statistics,
                Statistics::kHide, Statistics::kShow);
}

}  // namespace folio::app
