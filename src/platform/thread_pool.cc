#include "platform/thread_pool.h"

#include "base/check.h"
#include "platform/thread_name.h"

namespace folio::platform {
namespace {

// Polls before sleeping: some tens of microseconds, longer than the gap between two kernels of a decode step.
constexpr int kSpinPolls = 4000;

// The fields of ThreadPool::gate_.
constexpr int kRoundShift = 16;
constexpr std::uint32_t kRoundMask = 0xffff;
constexpr std::uint32_t kOpen = 1u << 15;
constexpr std::uint32_t kInside = kOpen - 1;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Returns once `word` differs from `old`.
void wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t old) {
  for (int i = 0; i < kSpinPolls; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    pause();
  }
  word.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int threads, const Topology& topology) : shares_(static_cast<std::size_t>(threads)) {
  FOLIO_CHECK(threads >= 1, "a thread pool needs at least one thread");
  const std::vector<int> nodes = nodes_of_threads(topology, threads);
  for (int thread = 1; thread < threads; ++thread)
    if (nodes[static_cast<std::size_t>(thread)] != nodes[static_cast<std::size_t>(thread) - 1])
      node_ends_.push_back(thread);
  node_ends_.push_back(threads);
  for (int thread = 1; thread < threads; ++thread) {
    std::vector<int> processors;
    if (topology.nodes.size() > 1) {
      const auto node = static_cast<std::size_t>(nodes[static_cast<std::size_t>(thread)]);
      processors = topology.nodes[node].processors;
    }
    workers_.emplace_back([this, thread, processors = std::move(processors)] {
      name_this_thread("folio-compute");
      bind_this_thread(processors);
      worker(thread);
    });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& thread : workers_) thread.join();
}

void ThreadPool::run_erased(std::size_t tasks, Job job) {
  if (workers_.empty() || tasks <= 1) {
    for (std::size_t task = 0; task < tasks; ++task) job.call(job.object, task, 0);
    return;
  }
  const std::size_t threads = shares_.size();
  for (std::size_t i = 0; i < threads; ++i) {
    shares_[i].next.store(tasks * i / threads, std::memory_order_relaxed);
    shares_[i].end = tasks * (i + 1) / threads;
  }
  job_ = job;
  const std::uint32_t round = round_.load(std::memory_order_relaxed) + 1;
  gate_.store(round << kRoundShift | kOpen, std::memory_order_release);
  round_.store(round, std::memory_order_release);
  round_.notify_all();
  work_on(0);
  // Every task is claimed. Whoever has not come in by now need not; those inside finish what they hold.
  std::uint32_t gate = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  while ((gate & kInside) != 0) {
    wait_for_change(gate_, gate);
    gate = gate_.load(std::memory_order_acquire);
  }
}

bool ThreadPool::enter(std::uint32_t round) {
  std::uint32_t gate = gate_.load(std::memory_order_acquire);
  while ((gate & kOpen) != 0 && gate >> kRoundShift == (round & kRoundMask))
    if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel, std::memory_order_acquire))
      return true;
  return false;
}

void ThreadPool::leave() {
  const std::uint32_t before = gate_.fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kOpen) == 0 && (before & kInside) == 1) gate_.notify_one();
}

void ThreadPool::work_on(int thread) {
  const std::size_t threads = shares_.size();
  for (std::size_t i = 0; i < threads; ++i) {  // its own share first, then the others'
    Share& share = shares_[(static_cast<std::size_t>(thread) + i) % threads];
    while (true) {
      const std::size_t task = share.next.fetch_add(1, std::memory_order_relaxed);
      if (task >= share.end) break;
      job_.call(job_.object, task, thread);
    }
  }
}

void ThreadPool::worker(int thread) {
  std::uint32_t seen = 0;
  while (true) {
    wait_for_change(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    if (!enter(seen)) continue;
    work_on(thread);
    leave();
  }
}

}  // namespace folio::platform
