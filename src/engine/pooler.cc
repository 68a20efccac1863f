#include "engine/pooler.h"

#include "base/check.h"

namespace folio::engine {

void Pooler::add(std::size_t position, std::span<const float> hidden) {
  if (pooling_ == Pooling::kNone || position != next_) return;
  ++next_;
  ++rows_;
  sums_.resize(hidden.size());
  for (std::size_t i = 0; i < hidden.size(); ++i) sums_[i] += static_cast<double>(hidden[i]);
}

std::vector<float> Pooler::result() const {
  FOLIO_CHECK(rows_ > 0, "nothing was pooled");
  std::vector<float> mean(sums_.size());
  for (std::size_t i = 0; i < sums_.size(); ++i)
    mean[i] = static_cast<float>(sums_[i] / static_cast<double>(rows_));
  return mean;
}

}  // namespace folio::engine
