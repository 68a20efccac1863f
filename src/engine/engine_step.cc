// One step of the engine, on its thread.
#include <algorithm>

#include "base/check.h"
#include "engine/engine.h"

namespace folio::engine {

bool Engine::step(const std::atomic<bool>* abandon) {
  drain_arrivals();
  end_cancelled();
  end_overdue();
  if (!plan_step()) {
    check_when_idle();
    return false;
  }
  compute(abandon);
  if (abandon != nullptr && *abandon) return true;  // planned again by the next step
  sample_step();
  calibrate();
  sequences_.remove_finished();
  return true;
}

void Engine::drain() {
  stop_accepting();
  while (step()) {
  }
}

void Engine::drain_arrivals() {
  while (auto arrival = arrivals_.try_pop()) {
    const Sequence& s = sequences_.add(std::move(*arrival));
    if (s.request.deadline_ms > 0) ++with_deadline_;
    scheduler_.add({.id = s.id,
                    .known = s.tokens.size(),
                    .priority = s.request.priority,
                    .tenant = s.request.tenant,
                    .arrival_ms = s.submitted_ms,
                    .seats = s.request.choices,
                    .outputs_from = s.outputs_from()});
  }
}

void Engine::end_cancelled() {
  bool any = false;
  sequences_.for_each([&](Sequence& s) {
    if (!s.stream->is_cancelled()) return;
    finish(s, FinishReason::kCancelled);
    any = true;
  });
  if (any) sequences_.remove_finished();
}

void Engine::end_overdue() {
  if (with_deadline_ == 0) return;
  const double now_ms = parts_.time->now_ms();
  sequences_.for_each([&](Sequence& s) {
    if (s.request.deadline_ms <= 0 || now_ms - s.submitted_ms < s.request.deadline_ms) return;
    if (s.beams && s.forks.empty()) end_beams(*s.beams, FinishReason::kDeadline);
    finish(s, FinishReason::kDeadline);
  });
  sequences_.remove_finished();
}

// False: nothing is to do.
bool Engine::plan_step() {
  step_started_ms_ = parts_.time->now_ms();
  const scheduler::StepPlan& plan = scheduler_.plan(blocks_);
  plan_.clear();
  for (const scheduler::PlannedRows& rows : plan.items) plan_.push_back(plan_item(rows));
  shape_ = plan.shape;
  if (!plan_.empty()) checked_ = false;
  return !plan_.empty();
}

// The scheduler counts rows with logits, for there is room for few; hidden states are wanted on top.
PlanItem Engine::plan_item(const scheduler::PlannedRows& rows) const {
  PlanItem item{.sequence = &sequences_.at(rows.sequence),
                .first = rows.first,
                .end = rows.end,
                .outputs = rows.outputs};
  if (item.sequence->request.wants_hidden())
    item.outputs = item.end - std::min(item.end, std::max(item.first, item.sequence->hidden_from()));
  return item;
}

void Engine::compute(const std::atomic<bool>* abandon) {
  model::Batch batch = builder_.build(plan_, parts_.cache->geometry());
  batch.abandon = abandon;
  parts_.model->forward(batch, parts_.cache->geometry(), parts_.cache->memory(), parts_.workspace,
                        *parts_.pool);
}

// Commits what was computed; sequences that have caught up get their next token.
void Engine::sample_step() {
  for (const PlanItem& item : plan_) {
    sample_item(item);
    Sequence& s = *item.sequence;
    if (!s.finished) scheduler_.advance(s.id, s.kv->computed(), s.tokens.size());
  }
}

void Engine::sample_item(const PlanItem& item) {
  const std::size_t vocab = config().vocab;
  Sequence& s = *item.sequence;
  if (!s.began) {
    s.began = true;
    s.started_ms = step_started_ms_;
    s.tokens.reserve(s.likely_length());
    s.history.add_prompt(s.request.prompt);
  }
  parts_.cache->commit(*s.kv, s.tokens, item.end);
  if (s.request.wants_hidden()) return report_hidden(item);
  const std::span logits(parts_.workspace.logits() + item.first_output * vocab, item.outputs * vocab);
  report_logits(item, logits);
  if (item.end < s.tokens.size()) return;
  if (s.beams) return take_beam_row(s, logits.last(vocab));
  fork_choices(s, logits.last(vocab));
  sample_token(s, logits.last(vocab));
}

// The prompt is computed: the request's other answers go on from its blocks, in seats that were kept for
// them.
void Engine::fork_choices(Sequence& s, std::span<const float> logits) {
  for (std::unique_ptr<Sequence>& waiting : std::exchange(s.forks, {})) {
    Sequence& fork = sequences_.add(std::move(waiting));
    fork.began = true;
    fork.started_ms = s.started_ms;
    fork.stats.cached_tokens = fork.tokens.size();
    fork.history = s.history;
    fork.kv = parts_.cache->fork(*s.kv, fork.id, fork.likely_length());
    scheduler_.fork(s.id, fork.id, fork.kv->computed(), fork.tokens.size() + 1);
    if (fork.request.deadline_ms > 0) ++with_deadline_;
    sample_token(fork, logits);
    if (!fork.finished) scheduler_.advance(fork.id, fork.kv->computed(), fork.tokens.size());
  }
}

void Engine::sample_token(Sequence& s, std::span<const float> logits) {
  if (s.tokens.size() >= s.max_length) return finish(s, FinishReason::kLength);
  const bool ends = s.request.end_tokens == EndTokens::kStop;
  const auto token = sampler_.sample(
      logits, s.request.sampling,
      {.history = s.history,
       .draw = {.choice = s.choice.index, .position = s.tokens.size()},
       .output = s.output(),
       .end_tokens = ends ? std::span<const TokenId>(end_tokens_) : std::span<const TokenId>()});
  if (!token) {
    s.stats.error = token.error();
    return finish(s, FinishReason::kError);
  }
  if (s.request.logprobs) sampling::logprobs(logits, *token, *s.request.logprobs, logprobs_);
  append_token(s, *token, s.request.logprobs ? &logprobs_ : nullptr);
  if (parts_.kv_use == KvUse::kRecompute && !s.finished) parts_.cache->truncate(*s.kv, 0);
}

// With the last row such a request is done.
void Engine::report_hidden(const PlanItem& item) {
  const std::size_t width = config().hidden;
  Sequence& s = *item.sequence;
  for (std::size_t i = 0; i < item.outputs; ++i) {
    const std::size_t position = item.end - item.outputs + i;
    const std::span row(parts_.workspace.hidden() + (item.first_output + i) * width, width);
    if (s.request.on_hidden && position >= s.request.hidden_from) s.request.on_hidden(position, row);
    s.pooler.add(position, row);
  }
  if (item.end < s.tokens.size()) return;
  if (s.request.pooling != Pooling::kNone) s.stream->put_embedding(s.pooler.result());
  finish(s, FinishReason::kStop);
}

void Engine::report_logits(const PlanItem& item, std::span<const float> logits) {
  Sequence& s = *item.sequence;
  if (!s.request.on_logits && !s.request.prompt_logprobs) return;
  const std::size_t vocab = config().vocab;
  for (std::size_t i = 0; i < item.outputs; ++i) {
    const std::size_t position = item.end - item.outputs + i;
    const auto row = logits.subspan(i * vocab, vocab);
    if (s.request.on_logits && position >= s.request.logits_from) s.request.on_logits(position, row);
    report_prompt(s, position, row);
  }
}

// What the model thought of the prompt's next token; once, even if the row is computed again.
void Engine::report_prompt(Sequence& s, std::size_t position, std::span<const float> logits) {
  if (!s.request.prompt_logprobs || position != s.prompt_logprobs_put) return;
  if (position + 1 >= s.request.prompt.size()) return;
  sampling::logprobs(logits, s.request.prompt[position + 1], *s.request.prompt_logprobs, logprobs_);
  s.stream->put_prompt(logprobs_);
  ++s.prompt_logprobs_put;
}

void Engine::append_token(Sequence& s, TokenId token, const sampling::Logprobs* logprobs) {
  if (s.generated() == 0) s.first_token_ms = parts_.time->now_ms();
  s.tokens.push_back(token);
  s.history.add_output(token);
  const bool ends =
      (s.request.end_tokens == EndTokens::kStop && parts_.tokenizer.is_end_of_generation(token)) ||
      s.request.sampling.stop_token_ids.contains(token);
  s.stream->put(ends ? std::string() : s.stop.push(s.detokenizer.push(token)), token, logprobs);
  if (ends || s.stop.found())
    finish(s, FinishReason::kStop);
  else if (s.tokens.size() >= s.max_length)
    finish(s, FinishReason::kLength);
}

// The sequence's blocks are free (or cached) from here on, and its reader gets the end. The sequence itself
// goes with remove_finished().
void Engine::finish(Sequence& s, FinishReason reason) {
  if (s.finished) return;
  s.finished = reason;
  scheduler_.remove(s.id);
  --unfinished_;
  if (s.request.deadline_ms > 0) --with_deadline_;
  const double now_ms = parts_.time->now_ms();
  s.stats.generated_tokens = s.generated();
  if (s.generated() > 0) {
    s.stats.first_token_s = (s.first_token_ms - s.submitted_ms) / 1e3;
    s.stats.prefill_s = (s.first_token_ms - s.started_ms) / 1e3;
    s.stats.decode_s = (now_ms - s.first_token_ms) / 1e3;
  } else if (s.began) {
    s.stats.prefill_s = (now_ms - s.started_ms) / 1e3;
  }
  if (s.kv) {
    s.stats.kv_blocks = s.kv->blocks().size();
    s.stats.kv_bytes = s.stats.kv_blocks * parts_.cache->geometry().block_bytes();
    parts_.cache->release(*s.kv);
  }
  if (!s.stop.found()) s.stream->put(s.stop.push(s.detokenizer.flush()) + s.stop.flush(), std::nullopt);
  s.stream->finish(reason, s.stats);
  for (std::unique_ptr<Sequence>& fork : std::exchange(s.forks, {})) {
    if (fork->request.deadline_ms > 0) ++with_deadline_;
    finish(*fork, reason);
  }
}

void Engine::check_when_idle() {
  if (checked_) return;
  checked_ = true;
  const Status sound = check_integrity();
  FOLIO_CHECK(sound.has_value(), sound.error().message.c_str());
  ++integrity_checks_;
}

void Engine::calibrate() { parts_.cost->observe(shape_, parts_.time->now_ms() - step_started_ms_); }

}  // namespace folio::engine
