// Beam search on the engine's thread. Each beam is held by a sequence, which computes one row and then pauses
// until the rows of all beams are there. Then the search says which beams go on: the first to follow a beam
// stays in its sequence, others get a sequence whose own beam nobody follows, as a fork: full blocks are
// shared, and the one that both will write into is copied when the first of them does.
//
// A beam that lost its blocks while it paused is known by its tokens and its offer; it computes nothing again
// before the search goes on. So beams that do not fit into the pool together are computed one after the
// other.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "engine/engine.h"

namespace folio::engine {
Status Engine::check_beams(const GenerationRequest& request) const {
  const sampling::SamplingParams& s = request.sampling;
  const auto refuse = [](const char* field, const char* instead) {
    return fail(ErrorKind::kInvalid, "beam search takes no {}: {}", field, instead);
  };
  if (!(request.beams->length_penalty >= -10 && request.beams->length_penalty <= 10))
    return fail(ErrorKind::kInvalid, "length_penalty is {}, but must be from -10 to 10",
                request.beams->length_penalty);
  if (s.temperature != 0) return refuse("temperature", "it draws nothing; leave it out or give 0");
  if (s.has_penalties()) return refuse("penalties", "it ranks answers by the model's own log-probabilities");
  if (!s.logit_bias.empty() || !s.allowed_token_ids.empty() || !s.bad_words.empty())
    return refuse("logit_bias, allowed_token_ids or bad_words",
                  "it ranks answers by the model's own log-probabilities");
  if (!request.stop.empty()) return refuse("stop texts", "give stop_token_ids");
  if (request.sampling.stop_token_ids.size() > kMaxBeamStops)
    return fail(ErrorKind::kInvalid, "stop_token_ids names {} tokens, but a beam search takes at most {}",
                request.sampling.stop_token_ids.size(), kMaxBeamStops);
  const std::size_t candidates = make_beams(request)->search.candidates();
  if (candidates > config().vocab)
    return fail(ErrorKind::kInvalid,
                "a beam search of n {} looks at {} next tokens, but the vocabulary has {}; lower n",
                request.choices, candidates, config().vocab);
  return {};
}

std::shared_ptr<BeamGroup> Engine::make_beams(const GenerationRequest& request) const {
  BeamSearch::Rules rules{.width = request.choices,
                          .prompt_tokens = request.prompt.size(),
                          .answer_tokens = most_new_tokens(request),
                          .min_tokens = request.sampling.min_tokens,
                          .length_penalty = request.beams->length_penalty,
                          .end_tokens = request.sampling.stop_token_ids,
                          .logprobs = request.logprobs};
  if (request.end_tokens == EndTokens::kStop) {
    std::vector<TokenId> ends(rules.end_tokens.begin(), rules.end_tokens.end());
    ends.insert(ends.end(), end_tokens_.begin(), end_tokens_.end());
    rules.end_tokens = std::move(ends);
  }
  return std::make_shared<BeamGroup>(BeamGroup{.search = BeamSearch(std::move(rules)), .holders = {}});
}

void Engine::take_beam_row(Sequence& s, std::span<const float> logits) {
  const std::shared_ptr<BeamGroup> group = s.beams;
  if (!s.forks.empty()) begin_beams(s);
  if (group->search.is_over()) return end_beams(*group, FinishReason::kLength);  // nothing is to be generated
  const Status valid = sampling::top_logprobs(logits, group->search.offered(), beam_row_);
  if (!valid) {
    for (Sequence* holder : group->holders) {
      holder->stats.error = valid.error();
      finish(*holder, FinishReason::kError);
    }
    return;
  }
  if (s.first_token_ms == 0) s.first_token_ms = parts_.time->now_ms();
  group->search.offer(s.beam, beam_row_);
  if (!group->search.is_complete()) return;  // the scheduler hears that it has caught up: it pauses
  move_beams(*group);
  if (group->search.is_over()) return end_beams(*group, FinishReason::kLength);
  resume_beams(*group);
}

// The prompt is computed: the sequences of the other beams take the seats that were kept for them.
void Engine::begin_beams(Sequence& first) {
  for (std::unique_ptr<Sequence>& waiting : std::exchange(first.forks, {})) {
    Sequence& fork = sequences_.add(std::move(waiting));
    fork.began = true;
    fork.started_ms = first.started_ms;
    fork.first_token_ms = parts_.time->now_ms();
    fork.stats.cached_tokens = fork.tokens.size();
    scheduler_.fork(first.id, fork.id, first.kv->computed(), fork.tokens.size());
    if (fork.request.deadline_ms > 0) ++with_deadline_;
  }
}

// Gives each beam of the next step a sequence, and its token.
void Engine::move_beams(BeamGroup& group) {
  const std::vector<Sequence*> before = group.holders;
  std::vector<Sequence*> unused = before;
  const std::span<const BeamSearch::Step> steps = group.search.advance();
  std::ranges::fill(group.holders, nullptr);
  for (std::size_t beam = 0; beam < steps.size(); ++beam)
    group.holders[beam] = std::exchange(unused[steps[beam].parent], nullptr);
  for (std::size_t beam = 0; beam < steps.size(); ++beam) {
    if (group.holders[beam] != nullptr) continue;
    Sequence*& taken = *std::ranges::find_if(unused, [](Sequence* s) { return s != nullptr; });
    group.holders[beam] = std::exchange(taken, nullptr);
    branch_beam(*before[steps[beam].parent], *group.holders[beam]);
  }
  for (std::size_t beam = 0; beam < steps.size(); ++beam) {
    group.holders[beam]->beam = beam;
    group.holders[beam]->tokens.push_back(steps[beam].token);
  }
}

// One without blocks finds what is there of `from`'s when it is admitted again.
void Engine::branch_beam(const Sequence& from, Sequence& to) {
  to.tokens = from.tokens;
  to.swapped.reset();
  to.awaited.reset();
  if (to.kv) parts_.cache->reset(*to.kv, to.request.prompt.size());  // else it has not begun
  if (!scheduler_.runs(to.id)) return;
  if (scheduler_.runs(from.id)) {
    to.kv = parts_.cache->fork(*from.kv, to.id, to.likely_length());
  } else {
    parts_.cache->match(*to.kv, to.reusable(), kv::Matching::kResume);
  }
}

void Engine::resume_beams(BeamGroup& group) {
  for (Sequence* holder : group.holders) {
    if (!scheduler_.runs(holder->id)) {
      scheduler_.advance(holder->id, 0, holder->tokens.size());
      continue;
    }
    if (parts_.kv_use == KvUse::kRecompute) parts_.cache->truncate(*holder->kv, 0);
    scheduler_.advance(holder->id, holder->kv->computed(), holder->tokens.size());
  }
}

// The n-th best answer goes to the request's n-th stream.
void Engine::end_beams(BeamGroup& group, FinishReason reason) {
  std::vector<BeamSearch::Answer> answers = group.search.take_answers(reason);
  answers.resize(group.search.width(), {.reason = reason});  // before the first token there is one beam
  for (Sequence* holder : group.holders) {
    Sequence& s = *holder;
    BeamSearch::Answer& answer = answers.at(s.choice.index);
    s.tokens = s.request.prompt;
    for (std::size_t i = 0; i < answer.tokens.size(); ++i) {
      const TokenId token = answer.tokens[i];
      const bool ends = answer.reason == FinishReason::kStop && i + 1 == answer.tokens.size();
      s.tokens.push_back(token);
      s.stream->put(ends ? std::string() : s.detokenizer.push(token), token,
                    s.request.logprobs ? &answer.logprobs[i] : nullptr);
    }
    finish(s, answer.reason);
  }
}

}  // namespace folio::engine
