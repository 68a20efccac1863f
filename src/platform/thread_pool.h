// Fork-join over a fixed set of threads. The caller is one of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

#include "platform/topology.h"

namespace folio::platform {

// run(n, work) calls work(task, thread) once for each task in [0, n), spread over the threads, and returns
// when all are done. Each thread starts on its own contiguous share, so that with the same n a thread touches
// the same memory step after step; one that is done early takes tasks from the others' shares. Which thread
// does a task is not determined: results must not depend on it.
//
// A round does not wait for threads that have not begun: where a core is busy with something else, the caller
// does that thread's share as well and goes on. Waiting spins for a bounded number of polls, then sleeps in
// the kernel. Not reentrant; run() may be called by one thread at a time. run() allocates nothing.
//
// On a machine of several NUMA nodes the threads are spread over them in contiguous ranges, in proportion to
// their processors, and each is bound to all processors of its node, so that neighbouring shares lie on one
// node. The caller, whatever thread that is, is not bound: what it starts later must not inherit that.
class ThreadPool {
 public:
  // Requires: threads >= 1. Starts threads - 1 of them.
  explicit ThreadPool(int threads, const Topology& topology = placement_topology());
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(shares_.size()); }

  // The threads of each node that has any, in order: half-open ranges given by their ends, the last of which
  // is size(). One entry on a machine with one node.
  std::span<const int> node_ends() const { return node_ends_; }

  // work: void(std::size_t task, int thread), thread in [0, size()).
  template <typename Work>
  void run(std::size_t tasks, Work&& work) {
    using Callable = std::remove_reference_t<Work>;
    run_erased(tasks, {.object = &work, .call = [](const void* object, std::size_t task, int thread) {
                         (*static_cast<Callable*>(const_cast<void*>(object)))(task, thread);
                       }});
  }

 private:
  struct Job {
    const void* object;
    void (*call)(const void* object, std::size_t task, int thread);
  };
  // One thread's share of the tasks. Its own cache line, because every task bumps `next`.
  struct alignas(64) Share {
    std::atomic<std::size_t> next{0};
    std::size_t end = 0;
  };

  void run_erased(std::size_t tasks, Job job);
  void work_on(int thread);
  void worker(int thread);
  bool enter(std::uint32_t round);
  void leave();

  std::vector<Share> shares_;
  std::vector<int> node_ends_;
  std::vector<std::thread> workers_;
  Job job_{};
  alignas(64) std::atomic<std::uint32_t> round_{0};  // bumped to wake the workers, also to stop them
  // Who may touch job_ and shares_: the low 16 bits of the round, whether it is open, and how many workers
  // are inside. The caller changes them only while the gate is closed and nobody is inside.
  alignas(64) std::atomic<std::uint32_t> gate_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace folio::platform
