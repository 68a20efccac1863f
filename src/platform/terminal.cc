#include "platform/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace folio::platform {
namespace {

int descriptor(Stream stream) { return static_cast<int>(stream); }

}  // namespace

bool is_terminal(Stream stream) { return ::isatty(descriptor(stream)) == 1; }

std::size_t terminal_columns(Stream stream) {
  winsize size{};
  if (::ioctl(descriptor(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

Status write(Stream stream, std::string_view text) {
  const char* const name = stream == Stream::kError ? "standard error" : "standard output";
  while (!text.empty()) {
    const ssize_t put = ::write(descriptor(stream), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && (errno == EPIPE || errno == EBADF))
      return fail(ErrorKind::kIo, "{} was closed before all was written", name);
    if (put < 0) return fail(ErrorKind::kIo, "{} cannot be written: {}", name, std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace folio::platform
