// Engine: one model, one block pool, any number of generations. Owns everything.
//
//   auto engine = Engine::load({.model = path});
//   auto prompt = (*engine)->tokenizer().encode("Hello", ...);
//   auto job    = (*engine)->submit({.prompt = *prompt, .max_tokens = 100});
//   while (!job->stream->finished()) { (*engine)->step(); print(job->stream->take().text); }
//
// Thread rule: one thread calls step(). submit() and cancel() may be called from any thread and only enqueue.
// The tokenizer, the template and the facts about the model are immutable and may be used from any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bounded_queue.h"
#include "engine/batch_builder.h"
#include "engine/options.h"
#include "engine/request.h"
#include "engine/sequence.h"
#include "kernels/kernel_set.h"
#include "kv/kv_cache.h"
#include "model/model.h"
#include "platform/thread_pool.h"
#include "sampling/sampler.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace folio::engine {

inline constexpr std::size_t kMaxWaitingRequests = 1024;

struct Job {
  SequenceId id;
  std::shared_ptr<TokenStream> stream;
};

struct MemoryUse {
  std::size_t weight_bytes, kv_bytes, resident_bytes, peak_resident_bytes;
};

class Engine {
 public:
  // Errors: anything wrong with the file, an option that contradicts it, memory that does not suffice (saying
  // what fits).
  [[nodiscard]] static Result<std::unique_ptr<Engine>> load(const EngineOptions& options);
  ~Engine();

  // Queues a generation. Errors: an empty prompt, a token outside the vocabulary, parameters out of range, a
  // prompt that leaves no room in the context (naming both lengths), too many waiting requests.
  [[nodiscard]] Result<Job> submit(GenerationRequest request);
  // The generation ends at the next step with kCancelled; unknown and finished ids are ignored.
  void cancel(SequenceId id);

  // Advances every generation. False: there is nothing to do.
  bool step();

  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  const text::ChatTemplate& chat_template() const { return chat_template_; }
  const model::ModelConfig& config() const { return model_->config(); }
  const model::Model& model() const { return *model_; }
  const kv::KvGeometry& kv_geometry() const { return cache_->geometry(); }
  kv::KvStats kv_stats() const { return cache_->stats(); }
  [[nodiscard]] Status check_integrity() const { return cache_->check_integrity(); }
  kernels::Isa isa() const { return kernels_.isa; }
  int threads() const { return pool_->size(); }
  std::size_t context_tokens() const { return context_tokens_; }
  std::size_t step_tokens() const { return workspace_.limits().rows; }
  std::size_t running() const { return running_.size(); }  // the engine's thread only, as waiting()
  std::size_t waiting() const { return waiting_.size() + arrivals_.size(); }
  // Forgets what is cached of ended generations. The engine's thread only. kInUse: some are running.
  [[nodiscard]] kv::Reset reset_prefix_cache() { return cache_->reset(); }
  MemoryUse memory_use() const;

 private:
  struct Parts;  // what load() puts together
  explicit Engine(Parts parts);

  // The parts of a step, in its order.
  void drain_requests();
  void drain_cancellations();
  void admit_waiting();
  void plan_step();
  void build_batch();
  void sample_step();
  void report_logits(const PlanItem& item, std::span<const float> logits);
  void append_token(Sequence& sequence, TokenId token);
  void finish(Sequence& sequence, FinishReason reason);
  void remove_finished();

  const kernels::KernelSet& kernels_;
  std::unique_ptr<platform::ThreadPool> pool_;
  text::Tokenizer tokenizer_;
  text::ChatTemplate chat_template_;
  std::unique_ptr<model::Model> model_;
  std::unique_ptr<kv::KvCache> cache_;
  model::Workspace workspace_;
  sampling::Sampler sampler_;
  BatchBuilder builder_;
  std::size_t context_tokens_;
  KvUse kv_use_;

  std::atomic<std::uint64_t> next_id_{1};
  BoundedQueue<std::unique_ptr<Sequence>> arrivals_{kMaxWaitingRequests};
  BoundedQueue<SequenceId> cancellations_{4 * kMaxWaitingRequests};
  std::vector<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;
  std::vector<PlanItem> plan_;
  std::size_t promised_blocks_ = 0;  // that running sequences may still grow to
};

}  // namespace folio::engine
