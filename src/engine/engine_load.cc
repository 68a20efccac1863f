// load_parts(): everything that happens once.
#include <algorithm>
#include <cstring>
#include <new>

#include "engine/engine.h"
#include "engine/load_text.h"
#include "engine/name_space.h"
#include "kernels/quant/quantize.h"
#include "model/rope.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "scheduler/calibrated_cost.h"
#include "weights/open.h"

namespace folio::engine {
namespace {

constexpr int kMaxThreads = 256;
constexpr std::size_t kMaxStepTokens = 8192;
constexpr std::size_t kLogitRows = 64;  // of one step, where a request wants logits over its prompt

Result<int> choose_threads(int wanted) {
  const int available = platform::available_cpus();
  if (wanted == 0) return std::min(available, kMaxThreads);
  if (wanted < 0 || wanted > kMaxThreads)
    return fail(ErrorKind::kInvalid, "--threads {} is not between 1 and {}", wanted, kMaxThreads);
  return wanted;
}

Status check_options(const EngineOptions& options) {
  if (options.step_tokens == 0 || options.step_tokens > kMaxStepTokens)
    return fail(ErrorKind::kInvalid, "{} tokens per step are not between 1 and {}", options.step_tokens,
                kMaxStepTokens);
  if (options.quantize && !kernels::can_quantize_to(*options.quantize))
    return fail(ErrorKind::kInvalid, "weights cannot be turned into {} while loading; use q8_0 or q4_0",
                kernels::info(*options.quantize).name);
  return {};
}

// The context: as asked, or the model's cut to what half of the available memory holds.
Result<std::size_t> choose_context(const EngineOptions& options, const model::ModelConfig& config,
                                   const kv::KvGeometry& geometry) {
  const std::size_t available = platform::available_bytes();
  const auto fitting = [&](std::size_t bytes) {
    return bytes / geometry.block_bytes() * geometry.block_tokens();
  };
  if (options.context_tokens == 0) {
    const std::size_t context = std::min<std::size_t>(config.context, fitting(available / 2));
    if (context == 0)
      return fail(ErrorKind::kTooLarge,
                  "not even one block of {} tokens of KV cache fits: it needs {} bytes, {} are available",
                  geometry.block_tokens(), geometry.block_bytes(), available);
    return context;
  }
  if (options.context_tokens > config.max_context)
    return fail(ErrorKind::kTooLarge, "--ctx-size {} is longer than the model's context of {} tokens",
                options.context_tokens, config.max_context);
  const std::size_t needed = geometry.blocks_for(options.context_tokens) * geometry.block_bytes();
  if (needed > available)
    return fail(ErrorKind::kTooLarge,
                "--ctx-size {} needs {} MB of KV cache, {} MB of memory are available; --ctx-size {} fits",
                options.context_tokens, needed >> 20, available >> 20, fitting(available));
  return options.context_tokens;
}

// The pool: as many tokens as asked for, or one context.
std::size_t choose_blocks(const EngineOptions& options, const kv::KvGeometry& geometry, std::size_t context) {
  return geometry.blocks_for(options.kv_tokens == 0 ? context : options.kv_tokens);
}

// More rows than all sequences together could want are never used.
scheduler::SchedulerOptions scheduling(const EngineOptions& options, std::size_t context) {
  constexpr std::size_t kDefaultSequences = 64;
  const std::size_t sequences =
      options.max_num_seqs == 0 ? std::min(kDefaultSequences, options.step_tokens) : options.max_num_seqs;
  const std::size_t rows = std::min(options.step_tokens, sequences * (context + 1));
  return {.max_num_seqs = sequences,
          .max_num_batched_tokens = rows,
          .max_outputs = std::max(sequences, std::min(kLogitRows, rows)),
          .long_prefill_token_threshold = options.long_prefill_token_threshold,
          .chunked_prefill = options.chunked_prefill,
          .policy = options.policy,
          .fairness = options.fairness,
          .step_budget_ms = options.step_budget_ms};
}

// A guess at a desktop's rates until steps have been measured: 10 GB/s of weights, 50 MB of them per
// millisecond and row, 10 GFLOP/s of attention.
scheduler::StepRates first_guess(const model::Model& model) {
  const model::ModelConfig& c = model.config();
  const double weight_bytes = static_cast<double>(std::max<std::size_t>(model.step_weight_bytes(), 1));
  const double attention_flops = 4.0 * c.layers * c.heads * c.head_dim;
  return {.fixed_ms = weight_bytes / 1e7,
          .linear_ms = weight_bytes / 5e7,
          .attention_ms = std::max(1.0, attention_flops) / 1e7};
}

// Of a share of the blocks; null for none.
Result<std::unique_ptr<kv::BlockResidency>> watch_lifetimes(kv::KvCache& cache, double share) {
  if (share <= 0) return nullptr;
  const auto now_s = [time = SteadyTime()] { return time.now_ms() / 1000; };
  try {
    auto residency = std::make_unique<kv::BlockResidency>(
        cache.blocks(), kv::ResidencySampling{.share = share, .now_s = now_s});
    cache.observe(*residency);
    return residency;
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::kTooLarge, "no memory to measure the lifetimes of {} KV blocks; ask for fewer",
                cache.blocks());
  }
}

}  // namespace

kernels::KvType default_kv_type(kernels::Isa isa) {
  return isa == kernels::Isa::kReference ? kernels::KvType::kF32 : kernels::KvType::kF16;
}

Result<EngineParts> load_parts(const EngineOptions& options) {
  FOLIO_TRY_STATUS(check_options(options));
  FOLIO_TRY(threads, choose_threads(options.threads));
  FOLIO_TRY(isa, options.isa ? Result<kernels::Isa>(*options.isa) : kernels::choose_isa());
  FOLIO_TRY(files, weights::open_model(options.model));
  FOLIO_TRY(config, std::visit([](const auto& model) { return model::read_config(model); }, files));
  FOLIO_TRY(geometry, kv::KvGeometry::create(model::kv_shape(
                          config, options.kv_type.value_or(default_kv_type(isa)), options.block_tokens)));
  FOLIO_TRY(context, choose_context(options, config, geometry));
  FOLIO_TRY(tokenizer, load_tokenizer(files));
  text::ChatTemplate chat_template = load_chat_template(files, tokenizer);

  auto pool = std::make_unique<platform::ThreadPool>(threads);
  const kernels::KernelSet& kernels = kernels::kernel_set(isa);
  FOLIO_TRY(model, model::load_model(files, config,
                                     {.kernels = &kernels,
                                      .load = {.arithmetic = options.arithmetic,
                                               .quantize = options.quantize,
                                               .progress = options.progress},
                                      .max_tokens = static_cast<std::uint32_t>(context)},
                                     *pool));
  const scheduler::SchedulerOptions limits = scheduling(options, context);
  FOLIO_TRY_STATUS(limits.validate(context));
  FOLIO_TRY(workspace, model::Workspace::create(config, {.rows = limits.max_num_batched_tokens,
                                                         .output_rows = limits.max_outputs,
                                                         .context = context,
                                                         .threads = threads,
                                                         .arithmetic = options.arithmetic}));
  const scheduler::StepRates guess = first_guess(*model);
  const bool dynamic_rope = config.rope.scaling == model::RopeScaling::kDynamic;
  std::string space = name_space({.description = weights::description_digest(files),
                                  .weights = model->weights_digest(),
                                  .geometry = geometry,
                                  .isa = isa,
                                  .arithmetic = options.arithmetic,
                                  .quantize = options.quantize,
                                  .rope_context = dynamic_rope ? context : 0,
                                  .functions = model::Rope::probe()});
  FOLIO_TRY(cache,
            kv::KvCache::create({.geometry = geometry,
                                 .blocks = choose_blocks(options, geometry, context),
                                 .name_space = std::as_bytes(std::span(space)),
                                 .prefix_caching = options.kv_use == KvUse::kCache ? kv::PrefixCaching::kOn
                                                                                   : kv::PrefixCaching::kOff,
                                 .eviction = options.eviction,
                                 .attention_share = guess.attention_ms / guess.linear_ms,
                                 .swap_blocks = options.swap_bytes / geometry.block_bytes()}));
  FOLIO_TRY(residency, watch_lifetimes(*cache, options.residency_share));
  auto cost =
      std::make_unique<scheduler::CalibratedCost>(guess, model->window().value_or(scheduler::kNoWindow));
  return EngineParts{.kernels = kernels,
                     .pool = std::move(pool),
                     .tokenizer = std::move(tokenizer),
                     .chat_template = std::move(chat_template),
                     .model = std::move(model),
                     .residency = std::move(residency),
                     .cache = std::move(cache),
                     .name_space = std::move(space),
                     .workspace = std::move(workspace),
                     .time = std::make_unique<SteadyTime>(),
                     .cost = std::move(cost),
                     .context_tokens = context,
                     .kv_use = options.kv_use,
                     .scheduling = limits};
}

Result<std::unique_ptr<Engine>> Engine::load(const EngineOptions& options) {
  FOLIO_TRY(parts, load_parts(options));
  return assemble(std::move(parts));
}

}  // namespace folio::engine
