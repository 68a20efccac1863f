#include "server/generator.h"

#include <utility>

namespace folio::server {
namespace {

// A BOS alone begins a text; anything else is gone on with.
bool holds_text(const engine::Engine& engine, const std::vector<TokenId>& tokens) {
  return !std::ranges::all_of(tokens, [&](TokenId token) { return engine.tokenizer().is_special(token); });
}

}  // namespace

engine::GenerationRequest engine_request(const Request& request, const engine::Engine& engine,
                                         std::vector<TokenId> prompt) {
  engine::GenerationRequest made;
  made.prompt = std::move(prompt);
  if (request.endpoint == kCompletions && holds_text(engine, made.prompt))
    made.text_start = text::TextStart::kContinued;
  made.sampling = request.sampling;
  if (request.max_tokens) made.max_tokens = *request.max_tokens;
  made.stop = request.stop;
  const std::string_view next_speaker = engine.chat_template().stop_text();
  if (request.use_beam_search) made.beams = engine::BeamOptions{.length_penalty = request.length_penalty};
  if (request.endpoint == kChat && !next_speaker.empty() && !made.beams) made.stop.emplace_back(next_speaker);
  if (request.ignore_eos) made.end_tokens = engine::EndTokens::kIgnore;
  made.cache_salt = request.cache_salt;
  made.choices = request.n;
  made.logprobs = request.logprobs;
  made.prompt_logprobs = request.prompt_logprobs;
  if (request.echo && request.logprobs)
    made.prompt_logprobs = std::max(*request.logprobs, request.prompt_logprobs.value_or(0));
  made.priority = request.priority;
  made.tenant = request.tenant;
  made.pooling = request.pooling;
  return made;
}

Generator::Generator(std::unique_ptr<engine::Engine> engine, std::function<void()> on_news)
    : engine_(std::move(engine)), on_news_(std::move(on_news)) {
  EngineState state;
  state.kv = engine_->kv_stats();
  longest_tokens_ =
      std::min(engine_->context_tokens(), state.kv.blocks * engine_->kv_geometry().block_tokens());
  state_.put(state);
  worker_ = std::make_unique<platform::Worker>("folio-engine", [this] { return work(); });
}

Generator::~Generator() = default;

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

Result<Generation> Generator::submit(const Request& request, std::vector<std::vector<TokenId>> prompts,
                                     std::uint64_t seed) {
  Generation generation;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    engine::GenerationRequest made = engine_request(request, *engine_, std::move(prompts[i]));
    made.sampling.seed = seed;
    auto job = engine_->submit(std::move(made));
    if (!job) {
      cancel(generation);
      return pass(std::move(job));
    }
    generation.ids.push_back(job->id);
    for (auto& stream : job->streams)
      generation.sources.push_back({.stream = std::move(stream), .prompt = i});
  }
  worker_->wake();
  return generation;
}

void Generator::cancel(const Generation& generation) {
  for (const SequenceId id : generation.ids) engine_->cancel(id);
  worker_->wake();
}

void Generator::reset_prefix_cache(std::function<void(bool)> done) {
  auto command = [this, done] { done(engine_->reset_prefix_cache() == kv::Reset::kDone); };
  if (commands_.try_push(std::move(command)) != Push::kDone) return done(false);
  worker_->wake();
}

}  // namespace folio::server
