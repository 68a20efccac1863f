// Worker: a thread that works while there is work and sleeps until it is woken.
//
// Thread rule: wake() from any thread; construct and destroy on one.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace folio::platform {

enum class Work { kMore, kNone };

class Worker {
 public:
  // Calls `work` on a thread of its own: again at once after kMore, after the next wake() after kNone. A
  // wake() during a call is not lost. `work` throws nothing. `name` is shown by system tools (15 characters).
  Worker(const std::string& name, std::function<Work()> work);
  ~Worker();  // waits for the call that is under way; no other follows

  void wake();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace folio::platform
