// ByteStream: a client's socket as a connection uses it: nothing blocks, and readiness is told once for each
// wait. Tests and the fuzzer put buffers in its place.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "server/tls.h"

namespace folio::server {

class ByteStream {
 public:
  enum class Ready { kInput, kOutput, kError };

  virtual ~ByteStream() = default;
  // Before anything else, until it has moved: TLS's handshake, where there is one. After kPlainHttp the
  // stream is plain text.
  [[nodiscard]] virtual Flow greet() = 0;
  [[nodiscard]] virtual Moved receive(std::span<char> into) = 0;  // room for kTlsRecordBytes
  [[nodiscard]] virtual Moved send(std::string_view bytes) = 0;
  // Calls `then` when the stream is ready, not from within; never after close().
  virtual void wait(Ready what, std::function<void()> then) = 0;
  // The client sends nothing any more, though not all that it sent may have been read.
  virtual bool input_has_ended() = 0;
  virtual bool has_input() = 0;   // something waits to be received
  virtual void end_output() = 0;  // says goodbye: nothing more is sent
  // Throws away some of what has come. False: nothing more comes.
  virtual bool discard_input() = 0;
  virtual void close() = 0;
  virtual std::string peer() const = 0;  // "192.0.2.7"; empty: nobody else's machine
};

}  // namespace folio::server
