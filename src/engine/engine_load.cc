// load_parts(): everything that happens once.
#include <algorithm>
#include <cstring>
#include <new>

#include "capacity/plan.h"
#include "capacity/step_work.h"
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

scheduler::SchedulerOptions scheduling(const EngineOptions& options, const capacity::Plan& plan) {
  return {.max_num_seqs = plan.sequences,
          .max_num_batched_tokens = plan.rows,
          .max_outputs = plan.output_rows,
          .long_prefill_token_threshold = options.long_prefill_token_threshold,
          .chunked_prefill = options.chunked_prefill,
          .policy = options.policy,
          .fairness = options.fairness,
          .step_budget_ms = options.step_budget_ms};
}

// What is opened and read before any memory is taken for it.
struct Opened {
  weights::AnyModel files;
  model::ModelConfig config;
  kv::KvGeometry geometry;
};

Result<Opened> open(const EngineOptions& options, kernels::Isa isa) {
  FOLIO_TRY(files, weights::open_model(options.model));
  FOLIO_TRY(config, std::visit([](const auto& model) { return model::read_config(model); }, files));
  FOLIO_TRY(geometry, kv::KvGeometry::create(model::kv_shape(
                          config, options.kv_type.value_or(default_kv_type(isa)), options.block_tokens)));
  return Opened{.files = std::move(files), .config = std::move(config), .geometry = geometry};
}

Result<capacity::Plan> plan_memory(const EngineOptions& options, const Opened& opened, int threads) {
  const capacity::ModelShape shape =
      capacity::shape_of(weights::tensors_of(opened.files), opened.config, opened.geometry,
                         {.arithmetic = options.arithmetic, .quantize = options.quantize});
  return capacity::plan(capacity::this_machine(threads), shape,
                        {.context_tokens = options.context_tokens,
                         .kv = options.kv_size,
                         .swap_bytes = options.swap_bytes,
                         .eviction = options.eviction,
                         .residency_share = options.residency_share,
                         .step_tokens = options.step_tokens,
                         .max_num_seqs = options.max_num_seqs,
                         .memory_bytes = options.memory_bytes,
                         .queue = options.queue,
                         .beside = options.beside});
}

scheduler::StepRates first_guess(const model::Model& model) {
  const capacity::StepTimes times = capacity::guess_times(model.step_weight_bytes(), model.config());
  return {.fixed_ms = times.fixed_ms, .linear_ms = times.row_ms, .attention_ms = times.attention_ms};
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
  FOLIO_TRY(opened, open(options, isa));
  FOLIO_TRY(tokenizer, load_tokenizer(opened.files));
  text::ChatTemplate chat_template = load_chat_template(opened.files, tokenizer);
  FOLIO_TRY(generation_config, weights::generation_config(opened.files));
  FOLIO_TRY(plan, plan_memory(options, opened, threads));
  const scheduler::SchedulerOptions limits = scheduling(options, plan);
  FOLIO_TRY_STATUS(limits.validate(plan.context_tokens));
  const std::vector<platform::TaggedBytes> arenas_before = platform::arena_bytes();

  auto pool = std::make_unique<platform::ThreadPool>(threads);
  const kernels::KernelSet& kernels = kernels::kernel_set(isa);
  FOLIO_TRY(model, model::load_model(opened.files, opened.config,
                                     {.kernels = &kernels,
                                      .load = {.arithmetic = options.arithmetic,
                                               .quantize = options.quantize,
                                               .progress = options.progress},
                                      .max_tokens = static_cast<std::uint32_t>(plan.context_tokens)},
                                     *pool));
  FOLIO_TRY(workspace, model::Workspace::create(opened.config, {.rows = plan.rows,
                                                                .output_rows = plan.output_rows,
                                                                .context = plan.context_tokens,
                                                                .threads = threads,
                                                                .arithmetic = options.arithmetic}));
  const scheduler::StepRates guess = first_guess(*model);
  const bool dynamic_rope = opened.config.rope.scaling == model::RopeScaling::kDynamic;
  std::string space = name_space({.description = weights::description_digest(opened.files),
                                  .weights = model->weights_digest(),
                                  .geometry = opened.geometry,
                                  .isa = isa,
                                  .arithmetic = options.arithmetic,
                                  .quantize = options.quantize,
                                  .rope_context = dynamic_rope ? plan.context_tokens : 0,
                                  .functions = model::Rope::probe()});
  FOLIO_TRY(cache,
            kv::KvCache::create({.geometry = opened.geometry,
                                 .blocks = plan.blocks,
                                 .name_space = std::as_bytes(std::span(space)),
                                 .prefix_caching = options.kv_use == KvUse::kCache ? kv::PrefixCaching::kOn
                                                                                   : kv::PrefixCaching::kOff,
                                 .eviction = options.eviction,
                                 .attention_share = guess.attention_ms / guess.linear_ms,
                                 .swap_blocks = plan.swap_blocks}));
  FOLIO_TRY(residency, watch_lifetimes(*cache, options.residency_share));
  FOLIO_TRY_STATUS(capacity::check_taken(plan, arenas_before, platform::arena_bytes()));
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
                     .context_tokens = plan.context_tokens,
                     .kv_use = options.kv_use,
                     .scheduling = limits,
                     .plan = std::move(plan),
                     .generation_config = std::move(generation_config)};
}

Result<std::unique_ptr<Engine>> Engine::load(const EngineOptions& options) {
  FOLIO_TRY(parts, load_parts(options));
  return assemble(std::move(parts));
}

}  // namespace folio::engine
