// One client's connection: requests one after the other, each answered before the next is read. It waits
// until its stream is ready and then moves bytes without blocking; of Asio it needs timers and a queue. Beast
// only parses.
//
// A request's head is looked at before its body is read (Handler::admit()); what is read of it, and the
// bodies of all connections together, are bounded (ConnectionPool).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "server/byte_budget.h"
#include "server/byte_stream.h"
#include "server/http.h"
#include "server/http_server.h"

namespace folio::server {

namespace asio = boost::asio;

class Connection;

// What all connections of a server share.
struct ConnectionPool {
  HttpLimits limits;
  Handler& handler;
  std::shared_ptr<ByteBudget> bodies, headers;
  std::unordered_set<std::shared_ptr<Connection>> open;
  std::unordered_map<std::string, std::size_t> by_address;
  std::size_t exchanges = 0;
  bool closing = false;              // no request after the one that is under way
  std::function<void()> on_drained;  // when closing and the last of them is answered

  ConnectionPool(const HttpLimits& within, Handler& who);

  // Why one more from there cannot be served; empty: it can.
  std::string why_full(const std::string& address) const;
  void add(const std::shared_ptr<Connection>& connection);
  void remove(const std::shared_ptr<Connection>& connection);
  void tell_if_drained() {
    if (closing && exchanges == 0 && on_drained) on_drained();
  }
};

// greeting (with TLS) -> waiting (no byte of a request yet) -> reading -> answering -> waiting ... -> closing
// -> closed
// What Beast puts a body into: a text that grows with what has come, whatever length was announced.
struct GrowingBody {
  using value_type = std::string;
  class reader {
   public:
    template <bool kIsRequest, typename Fields>
    reader(boost::beast::http::header<kIsRequest, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>&, boost::system::error_code& error) { error = {}; }
    template <typename Buffers>
    std::size_t put(const Buffers& buffers, boost::system::error_code& error) {
      std::size_t bytes = 0;
      for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at) {
        const asio::const_buffer piece = *at;
        body_.append(static_cast<const char*>(piece.data()), piece.size());
        bytes += piece.size();
      }
      error = {};
      return bytes;
    }
    void finish(boost::system::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

class Connection final : public Exchange, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::unique_ptr<ByteStream> stream, asio::io_context& io, ConnectionPool& pool);

  void start();
  void refuse(int status, std::string_view message);  // instead of start(): an answer, then the end
  void close_if_idle();
  void abort();  // at once, telling nobody
  const std::string& address() const { return address_; }

  void respond(HttpResponse response) override;
  void begin(HttpResponse head) override;
  void send(std::string_view bytes) override;
  void end() override;

 private:
  enum class Phase { kGreeting, kWaiting, kReading, kAnswering, kClosing, kClosed };
  using Parser = boost::beast::http::request_parser<GrowingBody>;
  using ErrorCode = boost::system::error_code;

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
  void skip_blank_lines();
  void on_header();
  bool check_framing();
  bool read_head();
  bool expect_body();
  bool count_body();
  void on_read_error(ErrorCode error);
  void begin_answer();
  void dispatch();
  void look_ahead();
  void watch_for_end();
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

  std::unique_ptr<ByteStream> stream_;
  asio::io_context& io_;
  ConnectionPool& pool_;
  const std::string address_;
  asio::steady_timer timer_, end_watch_;
  std::size_t timer_round_ = 0;  // of the wait that counts
  Phase phase_ = Phase::kWaiting;
  boost::beast::flat_buffer input_;
  ByteShare input_share_;  // of what all headers may take
  std::optional<Parser> parser_;
  HttpRequest request_;  // as far as it is read
  std::size_t body_limit_ = 0;
  std::string out_, in_flight_;  // to be written, and being written from written_ on
  std::size_t written_ = 0;
  bool write_is_due_ = false;    // on_output() comes, soon or when the socket takes more
  bool watching_ = false;        // on_input() comes
  bool input_is_stuck_ = false;  // TLS must write before it reads on
  bool stall_is_timed_ = false;  // since the last byte that the client took
  bool begun_ = false;           // something other than a blank line has come
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
