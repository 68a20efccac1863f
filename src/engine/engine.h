// Engine: one model, one block pool, any number of generations. Owns everything.
//
//   auto engine = Engine::load({.model = path});
//   auto prompt = (*engine)->tokenizer().encode("Hello", ...);
//   auto job    = (*engine)->submit({.prompt = *prompt, .max_tokens = 100});
//   while (!job->stream->finished()) { (*engine)->step(); print(job->stream->take().text); }
//
// Any number of jobs may be under way: a step computes rows of many sequences, as the scheduler plans, and no
// answer depends on who else is there, on preemptions, or on what the cache held (three numeric contracts).
//
// Thread rule: one thread calls step() and drain(). submit(), stop_accepting() and a stream's cancel() may be
// called from any thread and only enqueue or set a flag. The tokenizer, the template and the facts about the
// model are immutable and may be used from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bounded_queue.h"
#include "engine/batch_builder.h"
#include "engine/cache_blocks.h"
#include "engine/engine_parts.h"
#include "engine/options.h"
#include "engine/request.h"
#include "engine/sequence.h"
#include "kernels/kernel_set.h"
#include "kv/kv_cache.h"
#include "model/model.h"
#include "platform/thread_pool.h"
#include "sampling/sampler.h"
#include "scheduler/scheduler.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace folio::engine {

struct Job {
  SequenceId id;
  std::shared_ptr<TokenStream> stream;                // of the first answer
  std::vector<std::shared_ptr<TokenStream>> streams;  // of all, by choice
  std::uint64_t seed = 0;                             // given, or drawn

  void cancel() const { stream->cancel(); }
};

struct MemoryUse {
  std::size_t weight_bytes, kv_bytes, resident_bytes, peak_resident_bytes;
  std::size_t huge_page_bytes;  // of resident_bytes
};

class Engine {
 public:
  // Errors: those of load_parts() and assemble().
  [[nodiscard]] static Result<std::unique_ptr<Engine>> load(const EngineOptions& options);
  ~Engine();

  // Errors: scheduling options that contradict each other or the parts.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> assemble(EngineParts parts);

  // Queues a generation. Errors: an empty prompt, a token outside the vocabulary, parameters out of range, a
  // prompt that leaves no room in the context or in the block pool (naming both lengths), more choices than
  // may run at once, too many unfinished requests, and after stop_accepting().
  [[nodiscard]] Result<Job> submit(GenerationRequest request);
  // What submit() would refuse, but for want of room in its queue, and what of the request is to blame; any
  // thread.
  [[nodiscard]] std::expected<void, Refusal> check_request(const GenerationRequest& request) const;

  // Advances generations by what the scheduler gives them. False: there is nothing to do. The first such step
  // after a busy one proves the accounts of the block pool (check_integrity()).
  // `abandon`, where given, ends a step early: once it is true the step stops at the next layer and leaves
  // every sequence as it was; it must stay true until step() has returned.
  bool step(const std::atomic<bool>* abandon = nullptr);
  // From now on submit() refuses.
  void stop_accepting();
  // Stops accepting and steps until every generation has ended.
  void drain();

  const text::Tokenizer& tokenizer() const { return parts_.tokenizer; }
  const text::ChatTemplate& chat_template() const { return parts_.chat_template; }
  const weights::GenerationConfig& generation_config() const { return parts_.generation_config; }
  const model::ModelConfig& config() const { return parts_.model->config(); }
  const model::Model& model() const { return *parts_.model; }
  const kv::KvGeometry& kv_geometry() const { return parts_.cache->geometry(); }
  kv::KvStats kv_stats() const { return parts_.cache->stats(); }
  // Null: none is measured. The thread of step().
  const kv::BlockResidency* kv_residency() const { return parts_.residency.get(); }
  // Forgets what is cached of ended generations. The engine's thread only. kInUse: some are running.
  [[nodiscard]] kv::Reset reset_prefix_cache() { return parts_.cache->reset(); }
  [[nodiscard]] Status check_integrity() const { return parts_.cache->check_integrity(); }
  kernels::Isa isa() const { return parts_.kernels.isa; }
  int threads() const { return parts_.pool->size(); }
  std::size_t context_tokens() const { return context_tokens_; }  // of the longest sequence that can run
  std::size_t running() const { return scheduler_.running(); }    // the engine's thread only, as waiting()
  std::size_t waiting() const { return scheduler_.waiting(); }
  std::uint64_t preemptions() const { return scheduler_.preemptions(); }
  std::size_t step_tokens() const { return parts_.workspace.limits().rows; }
  // Times that check_integrity() was proved after a busy step; the thread of step().
  std::uint64_t integrity_checks() const { return integrity_checks_; }
  std::size_t last_step_tokens() const { return shape_.rows; }  // the thread of step()
  MemoryUse memory_use() const;
  // What was planned before anything was taken, and then taken.
  const capacity::Plan& memory_plan() const { return parts_.plan; }

 private:
  explicit Engine(EngineParts parts);

  Status check_prompt(const GenerationRequest& request) const;
  Status check_length(const GenerationRequest& request) const;
  Status check_sampling(const GenerationRequest& request) const;
  Status check_logprobs(const GenerationRequest& request) const;
  Status check_choices(const GenerationRequest& request) const;
  Status check_beams(const GenerationRequest& request) const;
  std::unique_ptr<Sequence> make_sequences(GenerationRequest request, Job& job);
  std::size_t most_new_tokens(const GenerationRequest& request) const;
  std::shared_ptr<BeamGroup> make_beams(const GenerationRequest& request) const;

  // The parts of a step, in its order.
  void drain_arrivals();
  void end_cancelled();
  void end_overdue();
  bool plan_step();
  void compute(const std::atomic<bool>* abandon);
  void sample_step();
  void calibrate();
  void check_when_idle();

  void sample_item(const PlanItem& item);
  void fork_choices(Sequence& sequence, std::span<const float> logits);
  void sample_token(Sequence& sequence, std::span<const float> logits);
  PlanItem plan_item(const scheduler::PlannedRows& rows) const;
  void report_hidden(const PlanItem& item);
  void report_logits(const PlanItem& item, std::span<const float> logits);
  void report_prompt(Sequence& sequence, std::size_t position, std::span<const float> logits);
  // Beam search (engine_beams.cc).
  void take_beam_row(Sequence& sequence, std::span<const float> logits);
  void begin_beams(Sequence& first);
  void move_beams(BeamGroup& group);
  void branch_beam(const Sequence& from, Sequence& to);
  void resume_beams(BeamGroup& group);
  void end_beams(BeamGroup& group, FinishReason reason);
  void append_token(Sequence& sequence, TokenId token, const sampling::Logprobs* logprobs);
  void finish(Sequence& sequence, FinishReason reason);

  EngineParts parts_;
  std::size_t context_tokens_;  // of what the model, the options and the pool allow, the least
  sampling::Sampler sampler_;
  sampling::Logprobs logprobs_;                   // scratch
  std::vector<sampling::TokenLogprob> beam_row_;  // scratch
  std::vector<TokenId> end_tokens_;
  BatchBuilder builder_;
  SequenceTable sequences_;
  CacheBlocks blocks_;
  scheduler::Scheduler scheduler_;

  std::atomic<std::uint64_t> next_id_{1};
  std::atomic<bool> accepting_{true};
  std::atomic<std::size_t> unfinished_{0};  // sequences, from submit() on
  BoundedQueue<std::unique_ptr<Sequence>> arrivals_{kMaxSequences};
  std::size_t with_deadline_ = 0;  // sequences
  std::vector<PlanItem> plan_;
  scheduler::StepShape shape_;  // of plan_
  double step_started_ms_ = 0;
  bool checked_ = true;  // the accounts of blocks, since the last busy step
  std::uint64_t integrity_checks_ = 0;
};

}  // namespace folio::engine
