#include "sampling/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/rng.h"
#include "sampling/row_math.h"

namespace folio::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr TokenId kLastToken{std::numeric_limits<std::int32_t>::max()};
constexpr float kWeightOne = 0x1p40F;  // the largest token's weight; 2^23 tokens of it still fit into 63 bits
constexpr std::size_t kMaxVocabulary = std::size_t{1} << 23;
constexpr std::size_t kChunk = 256;  // tokens whose weights are summed at once

std::uint64_t weight_of(float probability_ratio) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(probability_ratio * kWeightOne));
}

// NaN and +infinity come from a broken model or file; carrying on would hide it.
Status check_row(std::span<const float> logits) {
  int bad = 0;
  for (float logit : logits) bad |= static_cast<int>(!(logit < kInfinity));
  if (bad == 0) return {};
  const auto at = std::ranges::find_if(logits, [](float logit) { return !(logit < kInfinity); });
  return fail(ErrorKind::kInvalid, "the model's logit for token {} is {}; its weights are probably damaged",
              at - logits.begin(), *at);
}

}  // namespace

Sampler::Sampler(std::size_t vocabulary_size)
    : scores_(vocabulary_size), chunk_weights_(vocabulary_size / kChunk + 1) {
  FOLIO_CHECK(vocabulary_size <= kMaxVocabulary, "weights are summed in 64 bits");
  candidates_.reserve(vocabulary_size);
}

Result<TokenId> Sampler::sample(std::span<const float> logits, const SamplingParams& params, const Row& row) {
  FOLIO_CHECK(!logits.empty() && logits.size() <= candidates_.capacity(), "a row of another vocabulary");
  FOLIO_TRY_STATUS(check_row(logits));
  scores_.assign(logits.begin(), logits.end());
  if (params.has_rules()) apply_rules(params, row);
  if (params.has_penalties()) penalise(params, row.history);
  const float largest = largest_of(scores_);
  if (largest == -kInfinity)
    return fail(params.has_rules() ? ErrorKind::kUnsupported : ErrorKind::kInvalid,
                "no token is left to choose from: every logit is -infinity, or every token forbidden");
  if (params.temperature == 0.0F)
    return static_cast<TokenId>(std::ranges::find(scores_, largest) - scores_.begin());

  for (float& score : scores_) score = (score - largest) / params.temperature;
  const Cut cut = find_cut(params);
  return pick(cut, uniform({.seed = params.seed, .stream = row.draw.choice, .position = row.draw.position}));
}

// Requires: params.validate_tokens() for this row's length; tokens outside it are ignored all the same.
void Sampler::apply_rules(const SamplingParams& params, const Row& row) {
  if (!params.allowed_token_ids.empty()) allow_only(params.allowed_token_ids);
  for (const std::vector<TokenId>& word : params.bad_words) {
    const auto begun = std::span(word).first(word.size() - 1);
    if (begun.size() <= row.output.size() && std::ranges::equal(row.output.last(begun.size()), begun))
      forbid(word.back());
  }
  if (row.output.size() < params.min_tokens) {
    for (TokenId token : row.end_tokens) forbid(token);
    for (TokenId token : params.stop_token_ids) forbid(token);
  }
  for (const LogitBias& entry : params.logit_bias) {
    const auto at = static_cast<std::size_t>(raw(entry.token));
    if (raw(entry.token) >= 0 && at < scores_.size()) scores_[at] += entry.bias;
  }
}

void Sampler::allow_only(const TokenSet& tokens) {
  candidates_.clear();
  for (TokenId token : tokens) {
    const auto at = static_cast<std::size_t>(raw(token));
    if (raw(token) >= 0 && at < scores_.size() && candidates_.size() < candidates_.capacity())
      candidates_.push_back({.score = scores_[at], .token = token, .weight = 0});
  }
  std::ranges::fill(scores_, -kInfinity);
  for (const Candidate& kept : candidates_) scores_[static_cast<std::size_t>(raw(kept.token))] = kept.score;
}

void Sampler::forbid(TokenId token) {
  const auto at = static_cast<std::size_t>(raw(token));
  if (raw(token) >= 0 && at < scores_.size()) scores_[at] = -kInfinity;
}

void Sampler::penalise(const SamplingParams& params, const TokenHistory& history) {
  for (const TokenHistory::Entry& entry : history.entries()) {
    if (raw(entry.token) < 0 || static_cast<std::size_t>(raw(entry.token)) >= scores_.size()) continue;
    float& score = scores_[static_cast<std::size_t>(raw(entry.token))];
    if (score == -kInfinity) continue;
    score = score > 0 ? score / params.repetition_penalty : score * params.repetition_penalty;
    if (entry.in_output > 0)
      score -= params.frequency_penalty * static_cast<float>(entry.in_output) + params.presence_penalty;
    score = std::clamp(score, std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max());
  }
}

Sampler::Cut Sampler::find_cut(const SamplingParams& params) {
  Cut cut;
  if (params.min_p > 0) cut = {.score = std::log(params.min_p), .token = kLastToken};
  if (params.top_k > 0 && static_cast<std::size_t>(params.top_k) < scores_.size())
    cut = cut_top_k(static_cast<std::size_t>(params.top_k), cut);
  if (params.top_p < 1) cut = cut_top_p(params.top_p, cut);
  return cut;
}

// Collects what passes the cut and tightens it to the k best seen whenever twice as many as needed have
// gathered.
Sampler::Cut Sampler::cut_top_k(std::size_t k, Cut cut) {
  const auto tighten = [&] {
    std::ranges::nth_element(candidates_, candidates_.begin() + static_cast<std::ptrdiff_t>(k - 1),
                             ranks_before);
    candidates_.resize(k);
    cut = {.score = candidates_.back().score, .token = candidates_.back().token};
  };
  candidates_.clear();
  const std::size_t enough = std::min(scores_.size(), 2 * k + kChunk);
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    if (!cut.keeps(scores_[i], token)) continue;
    candidates_.push_back({.score = scores_[i], .token = token, .weight = 0});
    if (candidates_.size() >= enough) tighten();
  }
  if (candidates_.size() > k) tighten();
  return cut;
}

// The fewest first-ranking tokens whose weights reach p of all that passed so far, found by halving: of a
// range that contains the answer, the better half either reaches what is needed, or is kept whole.
Sampler::Cut Sampler::cut_top_p(float p, Cut cut) {
  constexpr float kLikely = -9.0F;  // first try without the long tail
  const std::uint64_t total = weigh(cut);
  std::uint64_t needed =
      static_cast<std::uint64_t>(std::ceil(static_cast<double>(p) * static_cast<double>(total)));
  needed = std::clamp<std::uint64_t>(needed, 1, total);
  const bool has_tail = cut.score < kLikely;
  if (!has_tail || collect({.score = kLikely, .token = TokenId{-1}}) < needed) collect(cut);

  auto first = candidates_.begin();
  auto end = candidates_.end();
  while (end - first > 1) {
    const auto middle = first + (end - first) / 2;
    std::nth_element(first, middle, end, ranks_before);
    std::uint64_t better = 0;
    for (auto it = first; it != middle; ++it) better += it->weight;
    if (better >= needed) {
      end = middle;
    } else {
      needed -= better;
      first = middle;
    }
  }
  return {.score = first->score, .token = first->token};
}

// Gathers the tokens that pass the cut, with their weights; returns the sum.
std::uint64_t Sampler::collect(Cut cut) {
  candidates_.clear();
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    const auto token = static_cast<TokenId>(i);
    if (!cut.keeps(scores_[i], token)) continue;
    const std::uint64_t weight = weight_of(exp_nonpositive(scores_[i]));
    candidates_.push_back({.score = scores_[i], .token = token, .weight = weight});
    sum += weight;
  }
  return sum;
}

// Sums the weights of what passes the cut, per chunk and in all.
std::uint64_t Sampler::weigh(Cut cut) {
  std::uint64_t total = 0;
  for (std::size_t first = 0; first < scores_.size(); first += kChunk) {
    const std::span<const float> chunk =
        std::span(scores_).subspan(first, std::min(kChunk, scores_.size() - first));
    std::uint64_t sum = 0;
    if (largest_of(chunk) >= cut.score) {
      std::array<float, kChunk> ratios;
      for (std::size_t i = 0; i < chunk.size(); ++i) ratios[i] = exp_nonpositive(chunk[i]);
      for (std::size_t i = 0; i < chunk.size(); ++i)
        if (cut.keeps(chunk[i], static_cast<TokenId>(first + i))) sum += weight_of(ratios[i]);
    }
    chunk_weights_[first / kChunk] = sum;
    total += sum;
  }
  return total;
}

// The token in whose share of the total weight, laid out in id order, the u-th part falls.
TokenId Sampler::pick(Cut cut, double u) {
  const std::uint64_t total = weigh(cut);
  __extension__ using Wide = unsigned __int128;
  auto left =
      static_cast<std::uint64_t>(Wide{static_cast<std::uint64_t>(u * 0x1p53)} * total >> 53);  // < total
  std::size_t chunk = 0;
  while (left >= chunk_weights_[chunk]) left -= chunk_weights_[chunk++];
  for (std::size_t i = chunk * kChunk;; ++i) {
    FOLIO_CHECK(i < scores_.size(), "the weights of a chunk are those of its tokens");
    const auto token = static_cast<TokenId>(i);
    if (!cut.keeps(scores_[i], token)) continue;
    const std::uint64_t weight = weight_of(exp_nonpositive(scores_[i]));
    if (left < weight) return token;
    left -= weight;
  }
}

}  // namespace folio::sampling
