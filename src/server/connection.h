// One client's connection: requests one after the other, each answered before the next is read. Internal to
// the two files that use Asio, of which it needs little: it waits until the socket is ready and then moves
// bytes without blocking, itself or through TLS. Beast only parses.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>

#include "server/http.h"
#include "server/http_server.h"
#include "server/tls.h"

namespace folio::server {

namespace asio = boost::asio;
using Socket = asio::generic::stream_protocol::socket;

class Connection;

// What all connections of a server share.
struct ConnectionPool {
  HttpLimits limits;
  Handler& handler;
  std::unique_ptr<TlsContext> tls;  // null: plain text
  std::unordered_set<std::shared_ptr<Connection>> open;
  std::size_t exchanges = 0;
  std::size_t body_bytes = 0;        // of all requests that are read or answered
  bool closing = false;              // no request after the one that is under way
  std::function<void()> on_drained;  // when closing and the last of them is answered

  void tell_if_drained() {
    if (closing && exchanges == 0 && on_drained) on_drained();
  }
};

// greeting (with TLS) -> waiting (no byte of a request yet) -> reading -> answering -> waiting ... -> closing
// -> closed
class Connection final : public Exchange, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, ConnectionPool& pool);

  void start();
  void refuse(int status, std::string_view message);  // instead of start(): an answer, then the end
  void close_if_idle();
  void abort();  // at once, telling nobody

  void respond(HttpResponse response) override;
  void begin(HttpResponse head) override;
  void send(std::string_view bytes) override;
  void end() override;

 private:
  enum class Phase { kGreeting, kWaiting, kReading, kAnswering, kClosing, kClosed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using ErrorCode = boost::system::error_code;

  // The socket, with or without TLS.
  Moved receive(std::span<char> into);
  Moved transmit(std::string_view bytes);
  void wait_for_input();
  void wait_for_output();
  void unstick_input();
  void on_input();
  void on_output();
  void greet();

  void wait_for_request();
  void begin_request();
  void read();
  bool read_more();
  bool parse_more();
  void on_header();
  void on_read_error(ErrorCode error);
  void hold_body(std::size_t bytes);
  void dispatch();
  void look_ahead();
  void on_input_end();

  void queue_head(const HttpResponse& response, std::string_view framing);
  void flush();
  void write_out();
  void on_all_written();
  bool is_written() const { return out_.empty() && written_ == in_flight_.size(); }
  void finish_answer();

  void linger();
  void discard_input();
  void set_timer(double seconds);
  void stop_timer();
  void on_timer();
  void lose();  // the client is gone
  void close();

  Socket socket_;
  ConnectionPool& pool_;
  std::unique_ptr<TlsSession> tls_;
  asio::steady_timer timer_;
  std::size_t timer_round_ = 0;  // of the wait that counts
  Phase phase_ = Phase::kWaiting;
  boost::beast::flat_buffer input_;
  std::optional<Parser> parser_;
  std::string out_, in_flight_;  // to be written, and being written from written_ on
  std::size_t written_ = 0;
  std::size_t body_bytes_ = 0;   // its part of the pool's
  bool write_is_due_ = false;    // on_output() comes, soon or when the socket takes more
  bool watching_ = false;        // on_input() comes
  bool input_is_stuck_ = false;  // TLS must write before it reads on
  bool stall_is_timed_ = false;  // since the last byte that the client took
  bool header_is_read_ = false;
  bool streaming_ = false;    // between begin() and end()
  bool chunked_ = false;      // how a stream is framed
  bool answered_ = false;     // all of the answer is in out_ or beyond
  bool input_ended_ = false;  // the client sends nothing any more
  bool served_ = false;       // a request before
  bool keep_alive_ = false;
  bool http_1_1_ = true;
  bool head_only_ = false;
};

}  // namespace folio::server
