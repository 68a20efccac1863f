// Sampler: a row of logits -> a token.
//
//   allowed_token_ids -> bad_words -> min_tokens -> logit_bias -> penalties -> temperature -> min_p -> top_k
//   -> top_p -> one draw from what is left
//
// The token is a function of (logits, params, row) and of nothing else: not of the batch, of
// earlier calls or of threads. Tokens rank by score, equal scores by lower id: in the argmax, and at the edge
// of every filter.
//
// Each filter keeps the first of that ranking, so all of them together are one cut: the last token kept. The
// draw then walks the row in id order through the weights of what ranks at or before the cut. A weight is
// e^score in fixed point (40 bits after the point, a probability below 1e-12 of the largest is none): sums
// are integers, exact in any order, and no rounding can carry a draw past the end.
//
// Thread rule: one owner per object (it keeps buffers); different objects are independent.
// Memory: 20 bytes per vocabulary entry, taken at creation; sample() allocates nothing.
// Cost: a few passes over the row; top_k and top_p select in linear time, the row is never sorted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "sampling/sampling_params.h"
#include "sampling/token_history.h"

namespace folio::sampling {

// Names the random number of one choice; with the seed in the parameters, all the randomness there is.
struct Draw {
  std::uint64_t choice = 0;    // index among the parallel samples of a request
  std::uint64_t position = 0;  // of the token to be chosen, in the sequence
};

// What the choice depends on besides logits and parameters.
struct Row {
  const TokenHistory& history;
  Draw draw;
  std::span<const TokenId> output = {};      // so far, for bad_words and min_tokens
  std::span<const TokenId> end_tokens = {};  // the model's own, for min_tokens
};

class Sampler {
 public:
  explicit Sampler(std::size_t vocabulary_size);

  // Errors: kInvalid when the row holds NaN or +infinity, or nothing but -infinity (-infinity excludes a
  // token); kUnsupported when the parameters' rules leave no token. Requires: params.validate(); 0 < logits.size() <= vocabulary_size; history tokens outside the row
  // are ignored.
  [[nodiscard]] Result<TokenId> sample(std::span<const float> logits, const SamplingParams& params,
                                       const Row& row);
  [[nodiscard]] Result<TokenId> sample(std::span<const float> logits, const SamplingParams& params,
                                       const TokenHistory& history, const Draw& draw) {
    return sample(logits, params, {.history = history, .draw = draw});
  }

 private:
  struct Candidate {
    float score;
    TokenId token;
    std::uint64_t weight;
  };

  // The last token kept; by default -infinity is what is cut off.
  struct Cut {
    float score = -std::numeric_limits<float>::infinity();
    TokenId token{-1};

    bool keeps(float other_score, TokenId other) const {
      return other_score > score || (other_score == score && other <= token);
    }
  };

  static bool ranks_before(const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.token < b.token;
  }

  void apply_rules(const SamplingParams& params, const Row& row);
  void allow_only(const TokenSet& tokens);
  void forbid(TokenId token);
  void penalise(const SamplingParams& params, const TokenHistory& history);
  Cut find_cut(const SamplingParams& params);
  Cut cut_top_k(std::size_t k, Cut cut);
  Cut cut_top_p(float p, Cut cut);
  std::uint64_t collect(Cut cut);
  std::uint64_t weigh(Cut cut);
  TokenId pick(Cut cut, double u);

  std::vector<float> scores_;                 // the row: penalised, then (logit - largest) / temperature
  std::vector<Candidate> candidates_;         // what a filter is choosing from
  std::vector<std::uint64_t> chunk_weights_;  // sums of weights over runs of kChunk tokens
};

}  // namespace folio::sampling
