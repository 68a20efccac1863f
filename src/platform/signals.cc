#include "platform/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>

namespace folio::platform {
namespace {

constexpr std::array kSignals = {SIGINT, SIGCONT, SIGWINCH};
enum Index : std::size_t { kInterrupt, kResumed, kResized };

std::array<std::atomic<bool>, kSignals.size()> noted{};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");
std::array<struct sigaction, kSignals.size()> before{};
volatile std::sig_atomic_t wake_write = -1;

extern "C" void note_signal(int signal) {
  for (std::size_t i = 0; i < kSignals.size(); ++i)
    if (kSignals[i] == signal) noted[i] = true;
  const int error = errno;
  if (const int fd = wake_write; fd >= 0) [[maybe_unused]]
    const ssize_t ignored = ::write(fd, "", 1);  // a full pipe wakes as well
  errno = error;
}

bool take(Index index) { return noted[index].exchange(false); }

}  // namespace

SignalScope::SignalScope() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    wake_read_ = ends[0];
    wake_write = ends[1];
  }
  struct sigaction action{};
  action.sa_handler = note_signal;  // without SA_RESTART: a wait must return
  ::sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    noted[i] = false;
    ::sigaction(kSignals[i], &action, &before[i]);
  }
}

SignalScope::~SignalScope() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before[i], nullptr);
  if (wake_read_ >= 0) {
    ::close(wake_read_);
    ::close(wake_write);
    wake_write = -1;
  }
}

const std::atomic<bool>& SignalScope::interrupt() const { return noted[kInterrupt]; }
bool SignalScope::take_interrupt() { return take(kInterrupt); }
bool SignalScope::take_resumed() { return take(kResumed); }
bool SignalScope::take_resized() { return take(kResized); }

ReadByte SignalScope::read_byte(char& byte) {
  // A negative descriptor is left out: without the pipe only a signal during the wait is seen.
  std::array<pollfd, 2> waits = {pollfd{wake_read_, POLLIN, 0}, pollfd{STDIN_FILENO, POLLIN, 0}};
  if (::poll(waits.data(), waits.size(), -1) < 0) return errno == EINTR ? ReadByte::kSignal : ReadByte::kEnd;
  if (waits[0].revents != 0) {
    char drained[64];
    while (::read(wake_read_, drained, sizeof drained) > 0) continue;
    return ReadByte::kSignal;
  }
  const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
  if (got == 1) return ReadByte::kByte;
  return got < 0 && (errno == EINTR || errno == EAGAIN) ? ReadByte::kSignal : ReadByte::kEnd;
}

}  // namespace folio::platform
