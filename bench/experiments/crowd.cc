#include "crowd.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "engine/engine.h"

namespace folio::experiments {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kVocab = 256;
constexpr std::size_t kBlockTokens = 16;

class NoModel final : public model::Model {
 public:
  explicit NoModel(std::uint32_t context)
      : Model({.architecture = "none",
               .layers = 1,
               .hidden = 16,
               .heads = 1,
               .kv_heads = 1,
               .head_dim = 2,
               .ffn = 16,
               .vocab = kVocab,
               .context = context,
               .max_context = context}) {}
  void forward(const model::Batch& batch, const kv::KvGeometry&, std::span<std::byte>,
               model::Workspace& workspace, platform::ThreadPool&) const override {
    std::fill_n(workspace.logits(), batch.output_rows.size() * kVocab, 0.0F);
  }
  std::size_t step_weight_bytes() const override { return 1; }
};

class WallTime final : public engine::TimeSource {
 public:
  double now_ms() const override {
    return std::chrono::duration<double, std::milli>(Clock::now().time_since_epoch()).count();
  }
};

struct CrowdShape {
  std::size_t context_tokens, kv_tokens, sequences, step_tokens;
};

Result<std::unique_ptr<engine::Engine>> assemble(const CrowdShape& shape) {
  const scheduler::SchedulerOptions limits{.max_num_seqs = shape.sequences,
                                           .max_num_batched_tokens = shape.step_tokens,
                                           .max_outputs = shape.sequences,
                                           .step_budget_ms = 0};
  auto model = std::make_unique<NoModel>(static_cast<std::uint32_t>(shape.context_tokens));
  FOLIO_TRY(geometry, kv::KvGeometry::create({.layers = 1, .kv_heads = 1, .key_dim = 2, .value_dim = 2}));
  FOLIO_TRY(workspace, model::Workspace::create(model->config(), {.rows = shape.step_tokens,
                                                                  .output_rows = shape.sequences,
                                                                  .context = shape.context_tokens,
                                                                  .threads = 1}));
  FOLIO_TRY(cache,
            kv::KvCache::create({.geometry = geometry, .blocks = geometry.blocks_for(shape.kv_tokens)}));
  auto tokenizer = text::Tokenizer::ids_only(kVocab);
  auto chat_template = text::ChatTemplate::fallback(tokenizer);
  return engine::Engine::assemble({.kernels = kernels::kernel_set(kernels::Isa::kReference),
                                   .pool = std::make_unique<platform::ThreadPool>(1),
                                   .tokenizer = std::move(tokenizer),
                                   .chat_template = std::move(chat_template),
                                   .model = std::move(model),
                                   .cache = std::move(cache),
                                   .workspace = std::move(workspace),
                                   .time = std::make_unique<WallTime>(),
                                   .cost = std::make_unique<scheduler::FixedCost>(scheduler::StepRates{}),
                                   .context_tokens = shape.context_tokens,
                                   .scheduling = limits});
}

// The `stream`-th series of random numbers in [0, 1).
class Random {
 public:
  explicit Random(std::uint64_t stream) : stream_(stream) {}
  double next() { return uniform({.seed = 5, .stream = stream_, .position = position_++}); }
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(next() * static_cast<double>(end)); }
  void append(std::vector<TokenId>& tokens, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      tokens.push_back(TokenId{static_cast<std::int32_t>(below(kVocab))});
  }

 private:
  std::uint64_t stream_, position_ = 0;
};

// A request on its way, and how far it has come.
struct Running {
  engine::Job job;
  std::size_t prompt = 0, generated = 0;
  bool finished = false;

  bool decodes() const { return generated > 0 && !finished; }
  // Whose keys and values are there: not yet those of the last token.
  std::size_t computed() const { return prompt + generated - 1; }
};

Result<Running> submit(engine::Engine& engine, std::vector<TokenId> prompt, std::size_t generate) {
  engine::GenerationRequest request;
  Running running{.job = {}, .prompt = prompt.size()};
  request.prompt = std::move(prompt);
  request.max_tokens = generate;
  request.sampling.temperature = 0;
  request.end_tokens = engine::EndTokens::kIgnore;
  FOLIO_TRY(job, engine.submit(std::move(request)));
  running.job = std::move(job);
  return running;
}

void read(std::vector<Running>& all) {
  for (Running& running : all) {
    if (running.finished) continue;
    const engine::Delta delta = running.job.stream->take();
    running.generated += delta.tokens.size();
    running.finished = delta.finish.has_value();
  }
}

// Piecewise linear between the quantiles 0, 0.5, 0.9, 0.99 and 1.
std::size_t quantile(const std::array<double, 5>& at, double u) {
  constexpr std::array<double, 5> kLevels = {0, 0.5, 0.9, 0.99, 1};
  std::size_t i = 0;
  while (i + 2 < kLevels.size() && u >= kLevels[i + 1]) ++i;
  return static_cast<std::size_t>(at[i] +
                                  (at[i + 1] - at[i]) * (u - kLevels[i]) / (kLevels[i + 1] - kLevels[i]));
}

// Means while `counts` was told of steps.
struct Mean {
  double sum = 0;
  std::size_t count = 0;
  void add(double value) {
    sum += value;
    ++count;
  }
  double value() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
};

}  // namespace

Result<Upkeep> measure_upkeep() {
  constexpr std::size_t kSequences = 64, kRequests = 256, kGenerated = 512;
  FOLIO_TRY(engine, assemble({.context_tokens = 4096,
                              .kv_tokens = (kSequences + 1) * 4096,
                              .sequences = kSequences,
                              .step_tokens = 2048}));
  Random random(1);
  std::vector<Running> all;
  for (std::size_t i = 0; i < kRequests; ++i) {
    std::vector<TokenId> prompt;
    random.append(prompt, 1000 + random.below(2001));
    FOLIO_TRY(running, submit(*engine, std::move(prompt), kGenerated / 2 + random.below(kGenerated)));
    all.push_back(std::move(running));
  }
  std::vector<double> step_us;
  Mean live;
  for (;;) {
    const Clock::time_point start = Clock::now();
    if (!engine->step()) break;
    const double us = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    read(all);
    if (engine->running() < kSequences) continue;
    step_us.push_back(us);
    std::size_t decoding = 0, computed = 0;
    for (const Running& running : all)
      if (running.decodes()) {
        ++decoding;
        computed += running.computed();
      }
    if (decoding == kSequences)
      live.add(static_cast<double>(computed) /
               static_cast<double>(engine->kv_stats().in_use_blocks * kBlockTokens));
  }
  Mean mean;
  for (const double us : step_us) mean.add(us);
  std::ranges::sort(step_us);
  return Upkeep{.sequences = kSequences,
                .steps = step_us.size(),
                .median_step_us = step_us.empty() ? 0 : step_us[step_us.size() / 2],
                .mean_step_us = mean.value(),
                .live_share = live.value()};
}

Result<Slots> measure_slots() {
  Slots result{.slots = 8, .slot_tokens = 8192, .requests = 400};
  FOLIO_TRY(engine, assemble({.context_tokens = result.slot_tokens,
                              .kv_tokens = result.slots * result.slot_tokens,
                              .sequences = 512,
                              .step_tokens = 8192}));
  Random random(2);
  std::vector<Running> all;
  for (std::size_t i = 0; i < result.requests; ++i) {
    const std::size_t context = quantile({2, 1020, 2735, 4142, 14050}, random.next()),
                      generated = quantile({7, 129, 424, 601, 1000}, random.next());
    std::vector<TokenId> prompt;
    random.append(prompt, std::min(context, result.slot_tokens - 1000));
    FOLIO_TRY(running, submit(*engine, std::move(prompt), generated));
    all.push_back(std::move(running));
  }
  Mean sequences;
  while (engine->step())
    if (engine->waiting() > 0) sequences.add(static_cast<double>(engine->running()));
  result.mean_sequences = sequences.value();
  result.preemptions = engine->preemptions();
  return result;
}

Result<SharedPrompt> measure_shared_prompt() {
  SharedPrompt result{.requests = 64, .shared_tokens = 1024, .own_tokens = 64};
  constexpr std::size_t kGenerated = 64;
  FOLIO_TRY(engine, assemble({.context_tokens = 2048,
                              .kv_tokens = result.requests * 2048,
                              .sequences = result.requests,
                              .step_tokens = 512}));
  Random random(3);
  std::vector<TokenId> shared;
  random.append(shared, result.shared_tokens);
  std::vector<Running> all;
  for (std::size_t i = 0; i < result.requests; ++i) {
    std::vector<TokenId> prompt = shared;
    random.append(prompt, result.own_tokens);
    FOLIO_TRY(running, submit(*engine, std::move(prompt), kGenerated));
    all.push_back(std::move(running));
  }
  Mean saved;
  while (engine->step()) {
    read(all);
    if (!std::ranges::all_of(all, &Running::decodes)) continue;
    const kv::KvStats stats = engine->kv_stats();
    saved.add(static_cast<double>(stats.saved_blocks) /
              static_cast<double>(stats.saved_blocks + stats.in_use_blocks));
  }
  result.saved_share = saved.value();
  return result;
}

}  // namespace folio::experiments
