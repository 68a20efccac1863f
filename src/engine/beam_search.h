// BeamSearch: the most likely answers to a prompt, searched `width` at a time.
//
//   step          beam 0          beam 1           offer(): the most likely next tokens of each
//                 a b [end] c     d a e
//   advance()     0+a  1+d  0+b ...               by summed log-probability, lower beam, lower token
//                 ended: 0+[end]                  leaves the search and is kept, if among the best so far
//                 next:  0+a, 1+d                 the best `width` of the others are the next beams
//
// An answer's score is logprob / length ^ length_penalty, its length that of prompt and answer without a
// token that ends it: as vLLM has it. The search is over when the answers reach their greatest length, or
// when no beam could still become better than the worst of `width` ended answers: running on would change
// nothing.
//
// A function of what is offered alone. It knows tokens, not who computes them: a beam is a number, the engine
// says which sequence holds its keys and values. Thread rule: one owner. Cost: advance() is
// O(n log n) for n = width * candidates(), besides copying the answers that stay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "engine/request.h"
#include "sampling/logprobs.h"
#include "sampling/token_set.h"

namespace folio::engine {

class BeamSearch {
 public:
  struct Rules {
    std::size_t width;  // beams, and answers
    std::size_t prompt_tokens;
    std::size_t answer_tokens;   // at most
    std::size_t min_tokens = 0;  // before these nothing ends
    double length_penalty = 1;
    sampling::TokenSet end_tokens;
    std::optional<std::uint32_t> logprobs;  // to report of each token: so many of the most likely ones
  };
  struct Answer {
    std::vector<TokenId> tokens;  // the ending one included
    std::vector<sampling::Logprobs> logprobs;
    double logprob = 0;  // of all tokens, summed
    double score = 0;
    FinishReason reason = FinishReason::kLength;
  };
  struct Step {  // how a beam came from those before it
    std::size_t parent;
    TokenId token;
  };

  // One beam, nothing generated. Requires: width > 0; the vocabulary holds width tokens that do not end.
  explicit BeamSearch(Rules rules);

  std::size_t width() const { return rules_.width; }
  // How many of a beam's most likely next tokens are chosen from: twice the width, but so many that `width`
  // of them do not end the answer.
  std::size_t candidates() const;
  // How many to offer: more, where more are to be reported. They change nothing.
  std::size_t offered() const;

  // What may follow beam `beam`, most likely first; again means the same again.
  // Requires: beam < width; not over().
  void offer(std::size_t beam, std::span<const sampling::TokenLogprob> next);
  // advance() is due: every beam has its offer.
  bool is_complete() const;
  // Ends what ends, and goes on with the best: the next beams, best first. Requires: is_complete().
  std::span<const Step> advance();
  bool is_over() const;

  // The best answers, best first: those that ended, and the beams as they stand, which get `reason`. Ends the
  // search.
  std::vector<Answer> take_answers(FinishReason reason);

 private:
  struct Beam {
    Answer answer;  // so far
    std::vector<sampling::TokenLogprob> next;
  };
  struct Candidate {
    std::size_t beam, rank;  // rank: its place in what was offered
    TokenId token;
    double logprob;  // of the whole answer
  };

  std::vector<Candidate> ranked_candidates() const;
  bool ends(TokenId token) const { return rules_.end_tokens.contains(token); }
  std::size_t generated() const { return beams_.front().answer.tokens.size(); }
  Answer extended(const Candidate& candidate) const;
  double score(double logprob, std::size_t length) const;
  bool is_kept(double score) const;
  void keep(Answer answer);

  Rules rules_;
  std::vector<Beam> beams_;
  std::vector<Step> steps_;
  std::vector<Answer> ended_;  // the best, best first
};

}  // namespace folio::engine
