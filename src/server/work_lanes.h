// WorkLanes: threads for what would hold up the I/O thread, each for tasks of one size, so that a long text
// holds up long ones only.
//
// Thread rule: post() from any thread; finish() once. Tasks of one lane run in order. Memory: a task that was
// large is followed by giving freed memory back to the system.
#pragma once

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstddef>
#include <functional>
#include <utility>

#include "platform/memory.h"
#include "platform/thread_name.h"

namespace folio::server {

class WorkLanes {
 public:
  WorkLanes() {
    for (boost::asio::thread_pool& lane : lanes_)
      boost::asio::post(lane, [] { platform::name_this_thread("folio-prepare"); });
  }

  // `bytes`: of what the task reads; its time grows with them.
  void post(std::size_t bytes, std::function<void()> task) {
    std::size_t lane = 0;
    while (lane < kUpTo.size() && bytes > kUpTo[lane]) ++lane;
    boost::asio::post(lanes_[lane], [task = std::move(task), bytes]() mutable {
      task();
      task = nullptr;
      if (bytes > kUpTo.back()) platform::release_freed_memory();
    });
  }
  void finish() {  // waits for what was posted
    for (boost::asio::thread_pool& lane : lanes_) lane.join();
  }

 private:
  static constexpr std::array<std::size_t, 2> kUpTo = {65'536, std::size_t{1} << 20};

  boost::asio::thread_pool lanes_[kUpTo.size() + 1] = {
      boost::asio::thread_pool{1}, boost::asio::thread_pool{1}, boost::asio::thread_pool{1}};
};

}  // namespace folio::server
