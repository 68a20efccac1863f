#include "engine/engine.h"

#include <algorithm>

#include "base/check.h"
#include "engine/engine_parts.h"
#include "platform/memory.h"

namespace folio::engine {
namespace {

double seconds_since(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double>(end - start).count();
}

}  // namespace

Engine::Engine(Parts parts)
    : kernels_(parts.kernels),
      pool_(std::move(parts.pool)),
      tokenizer_(std::move(parts.tokenizer)),
      chat_template_(std::move(parts.chat_template)),
      model_(std::move(parts.model)),
      cache_(std::move(parts.cache)),
      workspace_(std::move(parts.workspace)),
      sampler_(model_->config().vocab),
      context_tokens_(parts.context_tokens),
      kv_use_(parts.kv_use) {}

Engine::~Engine() = default;

// ---- any thread ----

Result<Job> Engine::submit(GenerationRequest request) {
  FOLIO_TRY_STATUS(request.sampling.validate());
  if (request.prompt.empty())
    return fail(ErrorKind::kInvalid,
                "the prompt is empty: there is nothing to continue; give at least one token");
  for (TokenId token : request.prompt)
    if (raw(token) < 0 || static_cast<std::uint32_t>(raw(token)) >= config().vocab)
      return fail(ErrorKind::kInvalid, "the prompt holds token {}, outside the vocabulary of {}", raw(token),
                  config().vocab);
  const std::size_t room = request.max_tokens == 0 ? context_tokens_ : context_tokens_ - 1;
  if (request.prompt.size() > room)
    return fail(ErrorKind::kTooLarge,
                "the prompt has {} tokens and leaves no room in the context of {}; shorten it or raise "
                "--ctx-size (the model "
                "allows {})",
                request.prompt.size(), context_tokens_, config().max_context);
  if (std::ranges::any_of(request.stop, &std::string::empty))
    return fail(ErrorKind::kInvalid, "a stop text is empty; it would end every answer at once");

  auto sequence =
      std::make_unique<Sequence>(SequenceId{next_id_.fetch_add(1)}, std::move(request), tokenizer_);
  Job job{.id = sequence->id, .stream = sequence->stream};
  if (arrivals_.try_push(std::move(sequence)) != Push::kDone)
    return fail(ErrorKind::kTooLarge, "{} requests are waiting already; try again later",
                arrivals_.capacity());
  return job;
}

void Engine::cancel(SequenceId id) {
  // A full queue of cancellations belongs to generations that the next step ends: drop the oldest news, not
  // this.
  while (cancellations_.try_push(SequenceId{id}) == Push::kFull) cancellations_.try_pop();
}

MemoryUse Engine::memory_use() const {
  return {.weight_bytes = model_->weight_bytes(),
          .kv_bytes = cache_->memory().size(),
          .resident_bytes = platform::resident_bytes(),
          .peak_resident_bytes = platform::peak_resident_bytes()};
}

// ---- the engine's thread ----

bool Engine::step() {
  drain_requests();
  drain_cancellations();
  admit_waiting();
  plan_step();
  if (plan_.empty()) return false;
  build_batch();
  sample_step();
  remove_finished();
  return true;
}

void Engine::drain_requests() {
  while (auto arrival = arrivals_.try_pop()) waiting_.push_back(std::move(*arrival));
}

void Engine::drain_cancellations() {
  while (auto id = cancellations_.try_pop())
    for (auto* list : {&waiting_, &running_})
      for (auto& sequence : *list)
        if (sequence->id == *id) finish(*sequence, FinishReason::kCancelled);
  std::erase_if(waiting_, [](const auto& sequence) { return sequence->finished.has_value(); });
  remove_finished();
}

// In order of arrival, as long as the pool can hold every admitted sequence at its longest: nobody ever waits
// for a block in the middle of an answer.
void Engine::admit_waiting() {
  std::size_t admitted = 0;
  for (; admitted < waiting_.size(); ++admitted) {
    Sequence& s = *waiting_[admitted];
    const std::size_t generate = std::min(s.request.max_tokens, context_tokens_ - s.request.prompt.size());
    s.max_length = s.request.prompt.size() + generate;
    s.promised_blocks = cache_->geometry().blocks_for(s.max_length);
    if (promised_blocks_ + s.promised_blocks > cache_->blocks()) break;
    promised_blocks_ += s.promised_blocks;
    s.kv = cache_->open(s.request.cache_salt, s.max_length);
    s.tokens.reserve(s.max_length);
    s.history.add_prompt(s.request.prompt);
    const std::size_t reusable = std::min(s.request.logits_from, s.tokens.size());
    s.stats.cached_tokens = cache_->match(*s.kv, std::span(s.tokens).first(reusable));
    s.stats.prompt_tokens = s.request.prompt.size();
    s.started = Clock::now();
    running_.push_back(std::move(waiting_[admitted]));
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(admitted));
}

// Gives the step's rows to the sequences in order, so that what is computed catches up with what is known.
void Engine::plan_step() {
  plan_.clear();
  std::size_t rows = workspace_.limits().rows, outputs = workspace_.limits().output_rows;
  for (auto& owned : running_) {
    Sequence& s = *owned;
    const std::size_t computed = s.kv->computed();
    std::size_t count = std::min(s.tokens.size() - computed, rows);
    if (s.wants_logits()) count = std::min(count, outputs);
    if (count == 0) continue;
    PlanItem item{.sequence = &s, .first = computed, .end = computed + count, .outputs = 0};
    if (item.end == s.tokens.size()) item.outputs = 1;
    if (s.wants_logits())
      item.outputs = item.end > s.request.logits_from ? item.end - std::max(item.first, s.request.logits_from)
                                                      : item.outputs;
    if (item.outputs > outputs) continue;
    FOLIO_CHECK(cache_->reserve(*s.kv, item.end) == kv::Reserve::kDone,
                "an admitted sequence has its blocks");
    rows -= count;
    outputs -= item.outputs;
    plan_.push_back(item);
  }
}

void Engine::build_batch() {
  const model::Batch& batch = builder_.build(plan_, cache_->geometry());
  model_->forward(batch, cache_->geometry(), cache_->memory(), workspace_, *pool_);
}

// Commits what was computed; sequences that have caught up get their next token.
void Engine::sample_step() {
  const std::size_t vocab = config().vocab;
  for (const PlanItem& item : plan_) {
    Sequence& s = *item.sequence;
    cache_->commit(*s.kv, s.tokens, item.end);
    const std::span logits(workspace_.logits() + item.first_output * vocab, item.outputs * vocab);
    report_logits(item, logits);
    if (item.end < s.tokens.size()) continue;
    if (s.tokens.size() >= s.max_length) {
      finish(s, FinishReason::kLength);
      continue;
    }
    const auto token = sampler_.sample(logits.last(vocab), s.request.sampling, s.history,
                                       {.choice = 0, .position = s.tokens.size()});
    if (!token) {
      s.stats.error = token.error();
      finish(s, FinishReason::kError);
      continue;
    }
    append_token(s, *token);
    if (kv_use_ == KvUse::kRecompute && !s.finished) cache_->truncate(*s.kv, 0);
  }
}

void Engine::report_logits(const PlanItem& item, std::span<const float> logits) {
  Sequence& s = *item.sequence;
  if (!s.request.on_logits) return;
  const std::size_t vocab = config().vocab;
  for (std::size_t i = 0; i < item.outputs; ++i) {
    const std::size_t position = item.end - item.outputs + i;
    if (position >= s.request.logits_from) s.request.on_logits(position, logits.subspan(i * vocab, vocab));
  }
}

void Engine::append_token(Sequence& s, TokenId token) {
  if (s.generated() == 0) s.first_token = Clock::now();
  s.tokens.push_back(token);
  s.history.add_output(token);
  const bool ends = s.request.end_tokens == EndTokens::kStop && tokenizer_.is_end_of_generation(token);
  s.stream->put(ends ? std::string() : s.stop.push(s.detokenizer.push(token)), token);
  if (ends || s.stop.found())
    finish(s, FinishReason::kStop);
  else if (s.tokens.size() >= s.max_length)
    finish(s, FinishReason::kLength);
}

void Engine::finish(Sequence& s, FinishReason reason) {
  if (s.finished) return;
  s.finished = reason;
  const Clock::time_point now = Clock::now();
  s.stats.prompt_tokens = s.request.prompt.size();
  s.stats.generated_tokens = s.generated();
  if (s.generated() > 0) {
    s.stats.first_token_s = seconds_since(s.submitted, s.first_token);
    s.stats.prefill_s = seconds_since(s.started, s.first_token);
    s.stats.decode_s = seconds_since(s.first_token, now);
  } else if (s.kv) {
    s.stats.prefill_s = seconds_since(s.started, now);
  }
  if (s.kv) {
    s.stats.kv_blocks = s.kv->blocks().size();
    s.stats.kv_bytes = s.stats.kv_blocks * cache_->geometry().block_bytes();
    cache_->release(*s.kv);
    promised_blocks_ -= s.promised_blocks;
  }
  if (!s.stop.found()) s.stream->put(s.stop.push(s.detokenizer.flush()) + s.stop.flush(), std::nullopt);
  s.stream->finish(reason, s.stats);
}

void Engine::remove_finished() {
  std::erase_if(running_, [](const auto& sequence) { return sequence->finished.has_value(); });
}

}  // namespace folio::engine
