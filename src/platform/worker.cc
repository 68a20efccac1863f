#include "platform/worker.h"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace folio::platform {

struct Worker::State {
  std::mutex mutex;
  std::condition_variable news;
  bool woken = true;
  bool stopping = false;
  std::function<Work()> work;
  std::thread thread;

  void run() {
    for (Work last = Work::kNone;;) {
      {
        std::unique_lock lock(mutex);
        if (last == Work::kNone) news.wait(lock, [this] { return woken || stopping; });
        if (stopping) return;
        woken = false;
      }
      last = work();
    }
  }
};

Worker::Worker(const std::string& name, std::function<Work()> work) : state_(std::make_unique<State>()) {
  state_->work = std::move(work);
  state_->thread = std::thread([state = state_.get()] { state->run(); });
  pthread_setname_np(state_->thread.native_handle(), name.substr(0, 15).c_str());
}

Worker::~Worker() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->stopping = true;
  }
  state_->news.notify_all();
  state_->thread.join();
}

void Worker::wake() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->woken = true;
  }
  state_->news.notify_one();
}

}  // namespace folio::platform
