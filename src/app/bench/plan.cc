#include "app/bench/plan.h"

#include <algorithm>

#include "platform/cpu.h"

namespace folio::app {
namespace {

std::size_t rounded_up(std::size_t tokens, const BenchOptions& options) {
  const std::size_t block = options.engine.block_tokens;
  return (tokens + block - 1) / block * block;
}

std::vector<RunShape> list_shapes(const BenchOptions& options) {
  std::vector<RunShape> shapes;
  for (std::size_t depth : options.depth)
    for (std::size_t streams : options.streams)
      for (SharedPrefix shared : options.shared_prefix)
        for (std::size_t prompt : options.prompt)
          for (std::size_t generate : options.generate) {
            if (prompt == 0 && generate == 0) continue;
            if (shared == SharedPrefix::kOn && depth == 0) continue;
            shapes.push_back({.prompt = prompt,
                              .generate = generate,
                              .depth = rounded_up(depth, options),
                              .streams = streams,
                              .shared = shared});
          }
  return shapes;
}

Status check_shapes(const std::vector<RunShape>& shapes, const model::ModelConfig& config) {
  if (shapes.empty())
    return fail(
        ErrorKind::kInvalid,
        "nothing to measure: give --prompt or --gen above 0, and with --shared-prefix on a --depth above 0");
  for (const RunShape& shape : shapes)
    if (shape.length() > config.max_context)
      return fail(ErrorKind::kTooLarge,
                  "a stream of depth {}, prompt {} and {} generated tokens needs a context of {}, the model "
                  "takes {}; "
                  "lower --depth, --prompt or --gen",
                  shape.depth, shape.prompt, shape.generate, shape.length(), config.max_context);
  return {};
}

}  // namespace

Result<std::vector<BenchPlan>> plan_bench(const BenchOptions& options, const model::ModelConfig& config) {
  const std::vector<RunShape> shapes = list_shapes(options);
  FOLIO_TRY_STATUS(check_shapes(shapes, config));
  FOLIO_TRY(isa, kernels::choose_isa());
  // A context shorter than a step would make the steps shorter too.
  std::size_t context = std::min<std::size_t>(options.engine.step_tokens, config.max_context);
  std::size_t kv_tokens = 0;
  for (const RunShape& shape : shapes) {
    context = std::max(context, shape.length());
    kv_tokens = std::max(kv_tokens, shape.streams * rounded_up(shape.length(), options));
  }
  std::vector<BenchPlan> plans;
  for (int threads : options.threads)
    for (const auto& kv_type : options.kv_types)
      for (kernels::Arithmetic arithmetic : options.arithmetic)
        plans.push_back({.setting = {.threads = threads == 0 ? platform::available_cpus() : threads,
                                     .kv_type = kv_type.value_or(engine::default_kv_type(isa)),
                                     .arithmetic = arithmetic},
                         .shapes = shapes,
                         .context_tokens = context,
                         .kv_tokens = kv_tokens});
  if (plans.size() * shapes.size() > kMaxCombinations)
    return fail(ErrorKind::kTooLarge, "the lists make {} combinations, more than {}; shorten one of them",
                plans.size() * shapes.size(), kMaxCombinations);
  return plans;
}

// The fewest steps that the rows fit into; a prompt's keys and values are read once in each of its own.
WorkTotals count_prefill(const ModelWork& model, const RunShape& shape, std::size_t step_tokens,
                         const Roofline& roofline) {
  const std::size_t rows = shape.streams * shape.prompt;
  const std::size_t steps = (rows + step_tokens - 1) / step_tokens;
  const double visible = static_cast<double>(shape.streams) *
                         visible_positions(shape.depth, shape.depth + shape.prompt, model.window);
  double own = 0, shared = 0;  // positions read in all chunks of a prompt: a stream's own, and the depth's
  std::size_t chunks = 0;
  for (std::size_t done = 0; done < shape.prompt; done += step_tokens, ++chunks) {
    const std::size_t end = std::min(done + step_tokens, shape.prompt);
    std::size_t seen = shape.depth + end;
    if (model.window != 0) seen = std::min(seen, model.window + end - done);
    own += static_cast<double>(std::min(seen, end));
    shared += static_cast<double>(seen - std::min(seen, end));
  }
  const double depth_reads = shape.shared == SharedPrefix::kOn
                                 ? static_cast<double>(steps) / static_cast<double>(chunks)
                                 : static_cast<double>(shape.streams);
  const double cached = static_cast<double>(shape.streams) * own + depth_reads * shared;
  const auto per_step = [&](double total) { return total / static_cast<double>(steps); };
  return count_steps(model,
                     {.rows = per_step(static_cast<double>(rows)),
                      .outputs = per_step(static_cast<double>(shape.streams)),
                      .visible = per_step(visible),
                      .cached_tokens = per_step(cached)},
                     static_cast<double>(steps), roofline);
}

// The clock starts behind one token that is given and one that is generated.
WorkTotals count_decode(const ModelWork& model, const RunShape& shape, const Roofline& roofline) {
  const auto streams = static_cast<double>(shape.streams), steps = static_cast<double>(shape.generate);
  const std::size_t first = shape.depth + shape.prompt + 1;
  const double visible =
      visible_positions(first, first + shape.generate, model.window) / steps;  // of a stream
  double cached = streams * visible;
  if (shape.shared == SharedPrefix::kOn) {
    // Of the shared part only what a window still shows.
    const double own = static_cast<double>(first - shape.depth) + (steps + 1) / 2;
    const double shared = std::max(0.0, visible - own);
    cached -= (streams - 1) * shared;
  }
  return count_steps(
      model, {.rows = streams, .outputs = streams, .visible = streams * visible, .cached_tokens = cached},
      steps, roofline);
}

}  // namespace folio::app
