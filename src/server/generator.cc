#include "server/generator.h"

#include <utility>

#include "api/engine_request.h"

namespace folio::server {
Generator::Generator(std::unique_ptr<engine::Engine> engine) : engine_(std::move(engine)) {
  EngineState state;
  state.kv = engine_->kv_stats();
  state_.put(state);
}

Generator::~Generator() = default;

void Generator::start(std::function<void()> on_news) {
  on_news_ = std::move(on_news);
  worker_ = std::make_unique<platform::Worker>("folio-engine", [this] { return work(); });
}

void Generator::stop() { worker_.reset(); }

platform::Work Generator::work() {
  while (auto command = commands_.try_pop()) (*command)();
  const bool stepped = engine_->step();
  if (stepped && engine_->last_step_tokens() > 0) steps_.add(engine_->last_step_tokens());
  const kv::BlockResidency* residency = engine_->kv_residency();
  state_.put({.running = engine_->running(),
              .waiting = engine_->waiting(),
              .preemptions = engine_->preemptions(),
              .steps = steps_,
              .integrity_checks = engine_->integrity_checks(),
              .residency = residency == nullptr ? std::nullopt : std::optional(residency->times()),
              .kv = engine_->kv_stats()});
  on_news_();
  return stepped ? platform::Work::kMore : platform::Work::kNone;
}

// Before start() what is wanted waits in the queues.
void Generator::wake() {
  if (worker_) worker_->wake();
}

Result<Generation> Generator::submit(const api::Request& request, std::vector<std::vector<TokenId>> prompts,
                                     std::uint64_t seed) {
  Generation generation;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    engine::GenerationRequest made = api::engine_request(request, *engine_, std::move(prompts[i]));
    made.sampling.seed = seed;
    auto job = engine_->submit(std::move(made));
    if (!job) {
      cancel(generation);
      return pass(std::move(job));
    }
    for (auto& stream : job->streams)
      generation.sources.push_back({.stream = std::move(stream), .prompt = i});
  }
  wake();
  return generation;
}

void Generator::cancel(const Generation& generation) {
  for (const Source& source : generation.sources) source.stream->cancel();
  wake();
}

void Generator::reset_prefix_cache(std::function<void(bool)> done) {
  auto command = [this, done] { done(engine_->reset_prefix_cache() == kv::Reset::kDone); };
  if (commands_.try_push(std::move(command)) != Push::kDone) return done(false);
  wake();
}

}  // namespace folio::server
