#include "server/connection.h"

#include <fmt/format.h>

#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <ctime>
#include <utility>

namespace folio::server {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kWriteBytes = 65'536;      // given to the system at a time; each is progress
constexpr double kLingerS = 2;                   // for a refused client to read why
constexpr std::size_t kKeptInputBytes = 16'384;  // of the input buffer between requests

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::string text_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Connection::Connection(Socket socket, ConnectionPool& pool)
    : socket_(std::move(socket)), pool_(pool), timer_(socket_.get_executor()) {}

void Connection::start() { wait_for_request(); }

// ---- reading

void Connection::wait_for_request() {
  phase_ = Phase::kWaiting;
  parser_.reset();
  if (input_.capacity() > kKeptInputBytes && input_.size() == 0) input_ = {};
  if (input_.size() > 0) return read_header();
  if (input_ended_) return close();
  set_timer(pool_.limits.idle_s);
  watch();
}

// One wait at a time; on_readable() looks at what it means.
void Connection::watch() {
  if (std::exchange(watching_, true)) return;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](ErrorCode error) {
    self->watching_ = false;
    self->on_readable(error);
  });
}

void Connection::on_readable(ErrorCode error) {
  if (phase_ == Phase::kClosed || phase_ == Phase::kClosing || error == asio::error::operation_aborted)
    return;
  if (phase_ == Phase::kWaiting) return read_header();
  if (phase_ != Phase::kAnswering) return;
  // The next request may wait in the socket; the end of the input may mean that the client is gone.
  char byte = 0;
  ErrorCode peeked;
  socket_.non_blocking(true, peeked);
  const std::size_t count = socket_.receive(asio::buffer(&byte, 1), Socket::message_peek, peeked);
  if (peeked == asio::error::would_block) return watch();
  if (peeked == asio::error::eof || (!peeked && count == 0)) return on_input_end();
  if (peeked) lose();
}

// A client that has closed and one that only has nothing more to say look alike until something is sent: the
// first answers with a reset. So send what changes nothing.
void Connection::on_input_end() {
  if (std::exchange(input_ended_, true) || answered_) return;
  if (!http_1_1_) return lose();
  if (!streaming_)
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
  else
    send(":\n\n");
  socket_.async_wait(Socket::wait_error, [self = shared_from_this()](ErrorCode error) {
    if (!error) self->lose();
  });
  flush();
}

void Connection::read_header() {
  phase_ = Phase::kReading;
  set_timer(pool_.limits.request_s);
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(pool_.limits.header_bytes));
  parser_->body_limit(pool_.limits.body_bytes);
  http::async_read_header(
      socket_, input_, *parser_,
      [self = shared_from_this()](ErrorCode error, std::size_t) { self->on_header(error); });
}

void Connection::on_header(ErrorCode error) {
  if (phase_ != Phase::kReading) return;
  if (error) return on_read_error(error);
  const auto& head = parser_->get();
  http_1_1_ = head.version() >= 11;
  keep_alive_ = parser_->keep_alive();
  if (const auto expect = head.find(http::field::expect); expect != head.end()) {
    if (!boost::beast::iequals(expect->value(), "100-continue"))
      return refuse(417, "the header 'Expect' may only say 100-continue");
    if (parser_->content_length().value_or(0) > pool_.limits.body_bytes)
      return on_read_error(http::error::body_limit);
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    flush();
  }
  read_body();
}

void Connection::read_body() {
  http::async_read(socket_, input_, *parser_,
                   [self = shared_from_this()](ErrorCode error, std::size_t) { self->on_body(error); });
}

void Connection::on_body(ErrorCode error) {
  if (phase_ != Phase::kReading) return;
  if (error) return on_read_error(error);
  dispatch();
}

void Connection::on_read_error(ErrorCode error) {
  if (error == http::error::header_limit)
    return refuse(431,
                  fmt::format("the request's header is longer than {} bytes", pool_.limits.header_bytes));
  if (error == http::error::body_limit)
    return refuse(413, fmt::format("the request's body is longer than {} bytes; folio serve "
                                   "--max-request-bytes raises the limit",
                                   pool_.limits.body_bytes));
  if (error.category() == make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message)
    return refuse(400, fmt::format("this is no HTTP/1.1 request: {}", error.message()));
  close();
}

void Connection::dispatch() {
  phase_ = Phase::kAnswering;
  timer_.cancel();
  auto message = parser_->release();
  parser_.reset();
  HttpRequest request{.method = text_of(message.method_string()),
                      .path = text_of(message.target()),
                      .headers = {},
                      .body = std::move(message.body())};
  request.path.resize(std::min(request.path.size(), request.path.find('?')));
  for (const auto& field : message)
    request.headers.push_back({text_of(field.name_string()), text_of(field.value())});
  head_only_ = request.method == "HEAD";
  streaming_ = answered_ = false;
  ++pool_.exchanges;
  if (input_.size() == 0) watch();
  pool_.handler.handle(shared_from_this(), std::move(request));
}

// ---- writing

void Connection::queue_head(const HttpResponse& response, std::string_view framing) {
  if (pool_.closing) keep_alive_ = false;
  out_ += fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\nServer: folio\r\n", response.status,
                      reason_phrase(response.status), http_date());
  if (response.status != 204) out_ += fmt::format("Content-Type: {}\r\n{}", response.content_type, framing);
  for (const Header& header : response.headers) out_ += fmt::format("{}: {}\r\n", header.name, header.value);
  out_ += !keep_alive_ ? "Connection: close\r\n\r\n" : http_1_1_ ? "\r\n" : "Connection: keep-alive\r\n\r\n";
}

void Connection::respond(HttpResponse response) {
  if (phase_ != Phase::kAnswering || answered_) return;
  queue_head(response, fmt::format("Content-Length: {}\r\n", response.body.size()));
  if (!head_only_) out_ += response.body;
  finish_answer();
}

void Connection::begin(HttpResponse head) {
  if (phase_ != Phase::kAnswering || answered_) return;
  streaming_ = true;
  chunked_ = http_1_1_;
  if (!chunked_) keep_alive_ = false;
  queue_head(head, chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
  flush();
}

void Connection::send(std::string_view bytes) {
  if (phase_ != Phase::kAnswering || !streaming_ || bytes.empty()) return;
  if (chunked_)
    out_ += fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
  else
    out_ += bytes;
  flush();
}

void Connection::end() {
  if (phase_ != Phase::kAnswering || !streaming_) return;
  if (chunked_) out_ += "0\r\n\r\n";
  finish_answer();
}

void Connection::finish_answer() {
  streaming_ = false;
  answered_ = true;
  on_gone = nullptr;
  flush();
}

void Connection::flush() {
  if (writing_ || phase_ == Phase::kClosed) return;
  if (written_ == in_flight_.size()) {
    in_flight_.clear();
    written_ = 0;
    std::swap(in_flight_, out_);
  }
  if (in_flight_.empty()) return;
  writing_ = true;
  if (phase_ == Phase::kAnswering) set_timer(pool_.limits.stall_s);
  const std::size_t bytes = std::min(kWriteBytes, in_flight_.size() - written_);
  socket_.async_write_some(
      asio::buffer(in_flight_.data() + written_, bytes),
      [self = shared_from_this()](ErrorCode error, std::size_t count) { self->on_written(error, count); });
}

void Connection::on_written(ErrorCode error, std::size_t bytes) {
  writing_ = false;
  if (phase_ == Phase::kClosed) return;
  if (error) return lose();
  written_ += bytes;
  if (written_ < in_flight_.size() || !out_.empty()) return flush();
  if (in_flight_.capacity() > kKeptInputBytes) in_flight_ = {};
  in_flight_.clear();
  written_ = 0;
  if (phase_ == Phase::kAnswering) stop_timer();
  if (phase_ == Phase::kClosing) return linger();
  if (phase_ != Phase::kAnswering || !answered_) return;
  answered_ = false;
  served_ = true;
  --pool_.exchanges;
  if (keep_alive_ && !pool_.closing) return wait_for_request();
  phase_ = Phase::kClosing;
  linger();
  pool_.tell_if_drained();
}

// ---- the end

void Connection::refuse(int status, std::string_view message) {
  keep_alive_ = false;
  timer_.cancel();
  phase_ = Phase::kClosing;
  const HttpResponse response = pool_.handler.protocol_error(status, message);
  queue_head(response, fmt::format("Content-Length: {}\r\n", response.body.size()));
  out_ += response.body;
  set_timer(pool_.limits.stall_s);
  flush();
}

// Closing a socket with unread input resets the connection, and the client may never read the answer.
void Connection::linger() {
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  set_timer(kLingerS);
  discard_input();
}

void Connection::discard_input() {
  input_.clear();
  socket_.async_read_some(input_.prepare(4096), [self = shared_from_this()](ErrorCode error, std::size_t) {
    if (error)
      self->close();
    else
      self->discard_input();
  });
}

void Connection::set_timer(double seconds) {
  timer_.expires_after(std::chrono::milliseconds(static_cast<long>(seconds * 1000)));
  timer_.async_wait([self = shared_from_this(), round = ++timer_round_](ErrorCode error) {
    if (!error && round == self->timer_round_) self->on_timer();
  });
}

void Connection::stop_timer() {
  ++timer_round_;  // its handler may be queued already
  timer_.cancel();
}

void Connection::on_timer() {
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kReading)
    return refuse(408, fmt::format("the request was not there within {} s", pool_.limits.request_s));
  if (phase_ == Phase::kAnswering) return lose();
  close();
}

void Connection::lose() {
  const auto gone = std::exchange(on_gone, nullptr);
  close();
  if (gone) gone();
}

void Connection::close_if_idle() {
  ErrorCode error;
  // A request that is on its way already is answered.
  if (phase_ == Phase::kWaiting && served_ && socket_.available(error) == 0) close();
}

void Connection::abort() { close(); }

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  const bool was_answering = phase_ == Phase::kAnswering;
  phase_ = Phase::kClosed;
  on_gone = nullptr;
  timer_.cancel();
  ErrorCode ignored;
  socket_.close(ignored);
  if (was_answering) --pool_.exchanges;
  const auto self = shared_from_this();  // the pool may hold the last other one
  pool_.open.erase(self);
  if (was_answering) pool_.tell_if_drained();
}

}  // namespace folio::server
