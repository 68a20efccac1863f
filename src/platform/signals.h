// Ctrl-C, a resumed job and a resized window as news that a program asks for, instead of interruptions.
#pragma once

#include <atomic>

namespace folio::platform {

enum class ReadByte { kByte, kEnd, kSignal };

// While an object lives these signals only leave a note; at its end each does again what it did before. At
// most one object at a time. Threads: the main thread's.
class SignalScope {
 public:
  SignalScope();
  ~SignalScope();
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

  // Each: has it happened since the last time it was asked?
  bool take_interrupt();  // Ctrl-C (SIGINT)
  bool take_resumed();    // back from Ctrl-Z (SIGCONT)
  bool take_resized();    // SIGWINCH

  // True from Ctrl-C on until take_interrupt() is asked. Any thread may look.
  const std::atomic<bool>& interrupt() const;

  // One byte from standard input; waits. kSignal: a signal has come, now or since the last call, and may have
  // been taken already; none that comes between two calls is missed.
  ReadByte read_byte(char& byte);

 private:
  int wake_read_ = -1;  // a byte waits in this pipe for each signal
};

}  // namespace folio::platform
