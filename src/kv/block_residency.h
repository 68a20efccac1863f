// BlockResidency: how long published blocks stay in the cache and how they are used again, of a sample of
// them.
//
//   published |<-- reuse gap -->| used |<-- reuse gap -->| used |<-- idle -->| evicted
//             |<------------------------ lifetime -------------------------->|
//
// Thread rule: one thread, the engine's. Cost: O(1) an event, one look at the clock for a sampled block, no
// allocation after creation. Blocks that are resident still have no lifetime yet.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/ids.h"
#include "kv/kv_observer.h"

namespace folio::kv {

// Counts of times by the first bound that is not below them; the last count is of longer ones.
struct TimeHistogram {
  static constexpr std::array<double, 21> kBounds = {.001, .002, .005, .01, .02, .05, .1,  .2,  .5,   1,   2,
                                                     5,    10,   20,   30,  60,  120, 300, 600, 1200, 1800};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};
  double sum_s = 0;

  void add(double seconds) {
    ++counts[static_cast<std::size_t>(std::ranges::lower_bound(kBounds, seconds) - kBounds.begin())];
    sum_s += seconds;
  }
};

struct ResidencyTimes {
  TimeHistogram lifetime, idle_before_eviction, reuse_gap;
};

struct ResidencySampling {
  double share = 0;               // of the blocks that are published, 0 to 1; 0: none is watched
  std::function<double()> now_s;  // never goes backwards
};

class BlockResidency final : public KvObserver {
 public:
  // Requires: share > 0, a clock.
  BlockResidency(std::size_t blocks, const ResidencySampling& sampling)
      : share_(std::min(1.0, sampling.share)), now_s_(sampling.now_s), watched_(blocks) {}

  static constexpr std::size_t bytes_per_block() { return sizeof(Watched); }

  void published(BlockId block, const PrefixKey&) override {
    // Evenly spread: one whenever the sum of shares passes a whole number.
    due_ += share_;
    if (due_ < 1) return;
    due_ -= 1;
    const double now = now_s_();
    watched_[raw(block)] = {.published_s = now, .used_s = now, .is_watched = true};
  }
  void used(BlockId block) override {
    Watched& watched = watched_[raw(block)];
    if (!watched.is_watched) return;
    const double now = now_s_();
    times_.reuse_gap.add(now - watched.used_s);
    watched.used_s = now;
  }
  void lost(BlockId block, BlockHash) override {
    Watched& watched = watched_[raw(block)];
    if (!watched.is_watched) return;
    const double now = now_s_();
    times_.lifetime.add(now - watched.published_s);
    times_.idle_before_eviction.add(now - watched.used_s);
    watched = {};
  }
  // No lifetime ends.
  void cleared() override { std::ranges::fill(watched_, Watched{}); }

  const ResidencyTimes& times() const { return times_; }

 private:
  struct Watched {
    double published_s = 0, used_s = 0;
    bool is_watched = false;
  };

  double share_, due_ = 0;
  std::function<double()> now_s_;
  std::vector<Watched> watched_;  // by block
  ResidencyTimes times_;
};

}  // namespace folio::kv
