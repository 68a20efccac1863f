#include "engine/beam_search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/check.h"

namespace folio::engine {

BeamSearch::BeamSearch(Rules rules) : rules_(std::move(rules)), beams_(1) {}

std::size_t BeamSearch::candidates() const {
  return std::max(2 * rules_.width, rules_.width + rules_.end_tokens.size());
}

std::size_t BeamSearch::offered() const {
  return std::max(candidates(), std::size_t{rules_.logprobs.value_or(0)});
}

void BeamSearch::offer(std::size_t beam, std::span<const sampling::TokenLogprob> next) {
  FOLIO_CHECK(beam < beams_.size() && !next.empty(), "an offer to no beam, or of nothing");
  beams_[beam].next.assign(next.begin(), next.end());
}

bool BeamSearch::is_complete() const {
  return std::ranges::none_of(beams_, [](const Beam& beam) { return beam.next.empty(); });
}

std::vector<BeamSearch::Candidate> BeamSearch::ranked_candidates() const {
  std::vector<Candidate> all;
  for (std::size_t beam = 0; beam < beams_.size(); ++beam)
    for (std::size_t rank = 0; rank < std::min(candidates(), beams_[beam].next.size()); ++rank) {
      const auto& [token, logprob] = beams_[beam].next[rank];
      all.push_back({.beam = beam,
                     .rank = rank,
                     .token = token,
                     .logprob = beams_[beam].answer.logprob + static_cast<double>(logprob)});
    }
  std::ranges::sort(all, [](const Candidate& a, const Candidate& b) {
    if (a.logprob != b.logprob) return a.logprob > b.logprob;
    return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
  });
  return all;
}

std::span<const BeamSearch::Step> BeamSearch::advance() {
  FOLIO_CHECK(is_complete(), "a search advanced before every beam was computed");
  const bool may_end = generated() >= rules_.min_tokens;
  std::vector<Beam> next;
  steps_.clear();
  for (const Candidate& candidate : ranked_candidates()) {
    if (!ends(candidate.token)) {
      if (next.size() == rules_.width) continue;
      next.push_back({.answer = extended(candidate), .next = {}});
      steps_.push_back({.parent = candidate.beam, .token = candidate.token});
    } else if (may_end) {
      const double reached = score(candidate.logprob, rules_.prompt_tokens + generated());
      if (!is_kept(reached)) continue;
      Answer answer = extended(candidate);
      answer.reason = FinishReason::kStop;
      answer.score = reached;
      keep(std::move(answer));
    }
  }
  FOLIO_CHECK(next.size() == rules_.width, "a vocabulary too small for its beams");
  beams_ = std::move(next);
  return steps_;
}

BeamSearch::Answer BeamSearch::extended(const Candidate& candidate) const {
  const Beam& beam = beams_[candidate.beam];
  Answer answer = beam.answer;
  answer.tokens.push_back(candidate.token);
  answer.logprob = candidate.logprob;
  if (!rules_.logprobs) return answer;
  const auto top = std::span(beam.next).first(std::min<std::size_t>(*rules_.logprobs, beam.next.size()));
  answer.logprobs.push_back({.chosen = beam.next[candidate.rank],
                             .chosen_rank = static_cast<std::uint32_t>(candidate.rank) + 1,
                             .top = {top.begin(), top.end()}});
  return answer;
}

double BeamSearch::score(double logprob, std::size_t length) const {
  return logprob / std::pow(static_cast<double>(length), rules_.length_penalty);
}

// Whether an answer of that score is among the best `width` so far: behind those of its own score.
bool BeamSearch::is_kept(double score) const {
  return ended_.size() < rules_.width || score > ended_.back().score;
}

void BeamSearch::keep(Answer answer) {
  if (!is_kept(answer.score)) return;
  const auto place = std::ranges::upper_bound(ended_, answer.score, std::greater<>(), &Answer::score);
  ended_.insert(place, std::move(answer));
  if (ended_.size() > rules_.width) ended_.pop_back();
}

// Log-probabilities only fall, so a beam's score can only rise by its length, if that is rewarded at all.
bool BeamSearch::is_over() const {
  if (generated() >= rules_.answer_tokens) return true;
  if (ended_.size() < rules_.width) return false;
  const std::size_t best_length =
      rules_.prompt_tokens + (rules_.length_penalty >= 0 ? rules_.answer_tokens : generated());
  return ended_.back().score > score(beams_.front().answer.logprob, best_length);
}

std::vector<BeamSearch::Answer> BeamSearch::take_answers(FinishReason reason) {
  for (Beam& beam : beams_) {
    beam.answer.reason = reason;
    beam.answer.score = score(beam.answer.logprob, rules_.prompt_tokens + generated());
  }
  // generated() looks at the beams: all scores before the first is taken.
  for (Beam& beam : beams_) keep(std::move(beam.answer));
  beams_.assign(1, {});
  return std::exchange(ended_, {});
}

}  // namespace folio::engine
