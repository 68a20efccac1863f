#include "sampling/logprobs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "sampling/row_math.h"

namespace folio::sampling {
namespace {

// Does `a` rank before `b`: more likely, or as likely with a lower id?
bool ranks_before(const TokenLogprob& a, const TokenLogprob& b) {
  return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
}

// The `count` first-ranking entries of the row, as logits, in order.
void top_logits(std::span<const float> logits, std::size_t count, std::vector<TokenLogprob>& top) {
  top.clear();
  if (count == 0) return;
  // A heap whose front ranks last. Ids ascend, so an entry equal to the front never displaces it.
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (top.size() == count) {
      if (!(logits[i] > top.front().logprob)) continue;
      std::ranges::pop_heap(top, ranks_before);
      top.pop_back();
    }
    top.push_back({.token = static_cast<TokenId>(i), .logprob = logits[i]});
    std::ranges::push_heap(top, ranks_before);
  }
  std::ranges::sort_heap(top, ranks_before);
}

}  // namespace

double log_normaliser(std::span<const float> logits) {
  constexpr std::size_t kLanes = 8;  // independent sums, added up in order at the end
  const float largest = largest_of(logits);
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += static_cast<double>(exp_nonpositive(logits[i + lane] - largest));
  double sum = 0;
  for (; i < logits.size(); ++i) sum += static_cast<double>(exp_nonpositive(logits[i] - largest));
  for (double lane : sums) sum += lane;
  return static_cast<double>(largest) + std::log(sum);
}

void logprobs(std::span<const float> logits, TokenId chosen, std::size_t top_count, Logprobs& result) {
  const auto at = static_cast<std::size_t>(raw(chosen));
  FOLIO_CHECK(raw(chosen) >= 0 && at < logits.size(), "the chosen token is outside the row");
  const double normaliser = log_normaliser(logits);
  const auto as_logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) - normaliser);
  };

  result.chosen = {.token = chosen, .logprob = as_logprob(logits[at])};
  const float own = logits[at];
  const auto larger = std::ranges::count_if(logits, [own](float logit) { return logit > own; });
  const auto equal_before = std::ranges::count(logits.first(at), own);
  result.chosen_rank = static_cast<std::uint32_t>(larger + equal_before) + 1;

  top_logits(logits, std::min(top_count, logits.size()), result.top);
  for (TokenLogprob& entry : result.top) entry.logprob = as_logprob(entry.logprob);
}

Status top_logprobs(std::span<const float> logits, std::size_t top_count, std::vector<TokenLogprob>& result) {
  const double normaliser = log_normaliser(logits);  // of a row that is no distribution: not finite
  if (!std::isfinite(normaliser))
    return fail(ErrorKind::kInvalid,
                "the model gave logits from which no token can be chosen; its file may be damaged");
  top_logits(logits, std::min(top_count, logits.size()), result);
  for (TokenLogprob& entry : result)
    entry.logprob = static_cast<float>(static_cast<double>(entry.logprob) - normaliser);
  return {};
}

}  // namespace folio::sampling
