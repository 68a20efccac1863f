// What an engine is made of: Engine::load() puts it together from a model file; a test may put in a model or
// a clock of its own.
#pragma once

#include <memory>
#include <string>

#include "capacity/plan.h"
#include "engine/options.h"
#include "engine/time_source.h"
#include "kernels/kernel_set.h"
#include "kv/block_residency.h"
#include "kv/kv_cache.h"
#include "model/model.h"
#include "model/workspace.h"
#include "platform/thread_pool.h"
#include "scheduler/scheduler_options.h"
#include "scheduler/step_cost.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "weights/generation_config.h"

namespace folio::engine {

// `name_space`: what the cache calls everything that its blocks' bits depend on (name_space.h).
// Requires: the workspace holds scheduling.max_num_batched_tokens rows and scheduling.max_outputs rows of
// logits; the cache has the model's geometry; no pointer but `residency` is null.
struct EngineParts {
  const kernels::KernelSet& kernels;
  std::unique_ptr<platform::ThreadPool> pool;
  text::Tokenizer tokenizer;
  text::ChatTemplate chat_template;
  std::unique_ptr<model::Model> model;
  std::unique_ptr<kv::BlockResidency> residency;  // listens to the cache; null: no lifetimes are measured
  std::unique_ptr<kv::KvCache> cache;
  std::string name_space = {};
  model::Workspace workspace;
  std::unique_ptr<TimeSource> time;
  std::unique_ptr<scheduler::StepCost> cost;
  std::size_t context_tokens;  // the longest sequence that the model may be given
  KvUse kv_use = KvUse::kCache;
  scheduler::SchedulerOptions scheduling;
  capacity::Plan plan = {};  // without lines where nobody planned
  weights::GenerationConfig generation_config = {};  // what the model says of drawing
};

// The parts that a model file and options make. Errors: anything wrong with the file, an option that
// contradicts it, memory that does not suffice (saying what fits).
[[nodiscard]] Result<EngineParts> load_parts(const EngineOptions& options);

}  // namespace folio::engine
