// HttpServer: HTTP/1.1 over TCP or a Unix socket, with or without TLS, on one I/O thread. Knows connections
// and limits, no API.
//
// Thread rule: run() is the I/O thread; post() and work() from any thread; the rest before run() or on the
// I/O thread. Errors of clients end their connection, with an answer from Handler::protocol_error() where one
// can be sent. With connection*.cc, socket_stream.cc and work_lanes.h the only user of Asio and
// Beast.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/http.h"
#include "server/tls.h"

namespace folio::server {

struct HttpLimits {
  std::size_t header_bytes = 65'536;
  std::size_t body_bytes = std::size_t{16} << 20;
  // Of all requests together that are read, wait or are answered; each has kFreeBodyBytes besides.
  std::size_t all_bodies_bytes = std::size_t{64} << 20;
  std::size_t connections = 1024;
  std::size_t connections_per_address = 512;
  double idle_s = 75;     // without a request
  double request_s = 30;  // from a request's first byte to its last
  double stall_s = 60;    // a client that takes nothing of its answer

  // Upper bounds of what all of them hold at once: of bodies, from their first byte to the end of the answer,
  // and of the rest: headers, and what TLS and the network read ahead.
  std::size_t most_body_bytes() const;
  std::size_t most_connection_bytes() const;
};

// Of a body, and of what is read of a header, that count for nobody's limit.
inline constexpr std::size_t kFreeBodyBytes = 65'536;
inline constexpr std::size_t kFreeHeaderBytes = 20'480;
inline constexpr std::size_t kAllHeadersBytes = std::size_t{32} << 20;  // of all headers besides

enum class Reach { kThisMachine, kNetwork, kUnixSocket };  // who can connect

struct HttpOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;  // 0: any that is free
  std::string unix_socket;    // a path; not empty: instead of host and port
  TlsFiles tls;
  HttpLimits limits;
};

class HttpServer {
 public:
  // Listens; clients wait until run(). `handler` outlives the server. With TLS the process ignores SIGPIPE.
  // Errors: an address that cannot be bound, a Unix socket that another server listens on; those of
  // TlsContext::load().
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> listen(const HttpOptions& options,
                                                                  Handler& handler);
  ~HttpServer();

  Reach reach() const;
  const std::string& address() const;  // "http://127.0.0.1:8000", "https://...", "unix:/run/folio.sock"

  void run();                             // until stop()
  void stop();                            // ends connections as they are
  void post(std::function<void()> task);  // runs on the I/O thread
  // One task, on the I/O thread, again and again from run() on.
  void every(std::chrono::milliseconds pause, std::function<void()> task);
  // Runs on a thread for what would hold up the I/O thread. Tasks of as many bytes run in order; small ones
  // pass large ones.
  void work(std::size_t bytes, std::function<void()> task);
  // Closes connections without a request, the others after their answer; then calls `done`. New ones are
  // taken.
  void close_idle(std::function<void()> done);
  void finish_work();             // waits for what work() was given; before the end
  std::size_t exchanges() const;  // requests that are not wholly answered yet
  std::size_t connections() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace folio::server
