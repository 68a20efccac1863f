#include "golden/generate.h"

#include <algorithm>
#include <cmath>

namespace folio::golden {

Result<Trace> run(engine::Engine& engine, std::span<const int> prompt, std::size_t max_tokens,
                  std::size_t logits_from) {
  Trace trace;
  engine::GenerationRequest request;
  for (int id : prompt) request.prompt.push_back(TokenId{id});
  request.sampling.temperature = 0;
  request.max_tokens = max_tokens;
  request.end_tokens = engine::EndTokens::kIgnore;
  request.logits_from = logits_from;
  request.on_logits = [&](std::size_t, std::span<const float> logits) {
    trace.logits.emplace_back(logits.begin(), logits.end());
  };
  FOLIO_TRY(job, engine.submit(std::move(request)));
  while (engine.step())
    for (TokenId id : job.stream->take().tokens) trace.tokens.push_back(raw(id));
  for (TokenId id : job.stream->take().tokens) trace.tokens.push_back(raw(id));
  if (const auto error = job.stream->stats().error) return std::unexpected(*error);
  return trace;
}

double log_sum_exp(std::span<const float> logits) {
  const double most = *std::ranges::max_element(logits);
  double sum = 0;
  for (float x : logits) sum += std::exp(x - most);
  return most + std::log(sum);
}

double divergence(std::span<const float> p, std::span<const float> q) {
  const double p_total = log_sum_exp(p), q_total = log_sum_exp(q);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i] - p_total;
    sum += std::exp(log_p) * (log_p - (q[i] - q_total));
  }
  return sum;
}

}  // namespace folio::golden
