#include "server/connection.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <ctime>
#include <utility>

namespace folio::server {
namespace {

namespace http = boost::beast::http;

constexpr double kLingerS = 2;                    // for a refused client to read why
constexpr std::size_t kKeptOutputBytes = 16'384;  // of a written answer's buffer

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
    : socket_(std::move(socket)), pool_(pool), timer_(socket_.get_executor()) {
  ErrorCode ignored;
  socket_.non_blocking(true, ignored);
}

void Connection::start() {
  if (!pool_.tls) return wait_for_request();
  tls_ = pool_.tls->open(socket_.native_handle());
  phase_ = Phase::kGreeting;
  if (!tls_) return close();
  set_timer(pool_.limits.request_s);
  wait_for_input();
}

// ---- the socket

Moved Connection::receive(std::span<char> into) {
  if (tls_) return tls_->receive(into);
  ErrorCode error;
  const std::size_t bytes = socket_.read_some(asio::buffer(into.data(), into.size()), error);
  if (!error) return {.flow = Flow::kMoved, .bytes = bytes};
  if (error == asio::error::would_block || error == asio::error::try_again)
    return {.flow = Flow::kWantsInput};
  return {.flow = error == asio::error::eof ? Flow::kEnded : Flow::kBroken};
}

Moved Connection::transmit(std::string_view bytes) {
  if (tls_) return tls_->send(bytes);
  ErrorCode error;
  const std::size_t sent = socket_.write_some(asio::buffer(bytes.data(), bytes.size()), error);
  if (!error) return {.flow = Flow::kMoved, .bytes = sent};
  const bool full = error == asio::error::would_block || error == asio::error::try_again;
  return {.flow = full ? Flow::kWantsOutput : Flow::kBroken};
}

// One wait at a time; on_input() looks at what it means.
void Connection::wait_for_input() {
  if (std::exchange(watching_, true)) return;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](ErrorCode error) {
    self->watching_ = false;
    if (!error) self->on_input();
  });
}

void Connection::wait_for_output() {
  if (std::exchange(write_is_due_, true)) return;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](ErrorCode error) {
    if (!error) self->on_output();
  });
}

void Connection::on_output() {
  write_is_due_ = false;
  write_out();
  if (std::exchange(input_is_stuck_, false)) on_input();
}

// TLS has to write before it can read on.
void Connection::unstick_input() {
  input_is_stuck_ = true;
  wait_for_output();
}

void Connection::on_input() {
  switch (phase_) {
    case Phase::kGreeting:
      return greet();
    case Phase::kWaiting:
      return begin_request();
    case Phase::kReading:
      return read();
    case Phase::kAnswering:
      return look_ahead();
    case Phase::kClosing:
      return is_written() ? discard_input() : void();
    case Phase::kClosed:
      return;
  }
}

void Connection::greet() {
  switch (tls_->handshake()) {
    case Flow::kMoved:
      return wait_for_request();
    case Flow::kWantsInput:
      return wait_for_input();
    case Flow::kWantsOutput:
      return unstick_input();
    case Flow::kPlainHttp:
      tls_.reset();
      return refuse(400, "this port takes TLS only: use https:// instead of http://");
    default:
      return close();
  }
}

// ---- reading

void Connection::wait_for_request() {
  phase_ = Phase::kWaiting;
  parser_.reset();
  if (input_.size() > 0) return begin_request();
  input_ = {};
  if (input_ended_) return close();
  set_timer(pool_.limits.idle_s);
  wait_for_input();
}

void Connection::begin_request() {
  phase_ = Phase::kReading;
  set_timer(pool_.limits.request_s);
  header_is_read_ = false;
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(pool_.limits.header_bytes));
  parser_->body_limit(pool_.limits.body_bytes);
  read();
}

void Connection::read() {
  while (phase_ == Phase::kReading)
    if (!parse_more() && !read_more()) return;
}

// False: what is there is not enough.
bool Connection::parse_more() {
  if (input_.size() == 0) return false;
  ErrorCode error;
  const std::size_t used = parser_->put(input_.data(), error);
  input_.consume(used);
  if (error && error != http::error::need_more) {
    on_read_error(error);
    return true;
  }
  hold_body(parser_->get().body().size());
  if (pool_.body_bytes > pool_.limits.all_body_bytes()) {
    refuse(429, fmt::format("the requests under way have {} bytes of bodies already; try again later",
                            pool_.limits.all_body_bytes()));
    return true;
  }
  if (!header_is_read_ && parser_->is_header_done()) {
    header_is_read_ = true;
    on_header();
  } else if (parser_->is_done()) {
    dispatch();
  } else if (used == 0 && input_.size() > pool_.limits.header_bytes + kTlsRecordBytes) {
    on_read_error(http::error::header_limit);  // the line before a chunk, or what is behind the last
  } else {
    return used > 0;
  }
  return true;
}

// False: nothing came yet.
bool Connection::read_more() {
  const auto room = input_.prepare(kTlsRecordBytes);
  const Moved moved = receive({static_cast<char*>(room.data()), room.size()});
  switch (moved.flow) {
    case Flow::kMoved:
      input_.commit(moved.bytes);
      return true;
    case Flow::kWantsInput:
      wait_for_input();
      return false;
    case Flow::kWantsOutput:
      unstick_input();
      return false;
    default:
      close();
      return false;
  }
}

void Connection::on_header() {
  const auto& head = parser_->get();
  http_1_1_ = head.version() >= 11;
  keep_alive_ = parser_->keep_alive();
  parser_->eager(true);
  if (const auto expect = head.find(http::field::expect); expect != head.end()) {
    if (!boost::beast::iequals(expect->value(), "100-continue"))
      return refuse(417, "the header 'Expect' may only say 100-continue");
    if (parser_->content_length().value_or(0) > pool_.limits.body_bytes)
      return on_read_error(http::error::body_limit);
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    flush();
  }
  if (parser_->is_done()) dispatch();
}

void Connection::on_read_error(ErrorCode error) {
  if (error == http::error::header_limit)
    return refuse(431,
                  fmt::format("the request's header is longer than {} bytes", pool_.limits.header_bytes));
  if (error == http::error::body_limit)
    return refuse(413, fmt::format("the request's body is longer than {} bytes; folio serve "
                                   "--max-request-bytes raises the limit",
                                   pool_.limits.body_bytes));
  return refuse(400, fmt::format("this is no HTTP/1.1 request: {}", error.message()));
}

void Connection::hold_body(std::size_t bytes) {
  pool_.body_bytes += bytes - body_bytes_;
  body_bytes_ = bytes;
}

void Connection::dispatch() {
  phase_ = Phase::kAnswering;
  stop_timer();
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
  if (input_.size() == 0) {
    input_ = {};
    if (!input_ended_) wait_for_input();
  }
  pool_.handler.handle(shared_from_this(), std::move(request));
}

// During an answer: the next request may come already; the end of the input may mean that the client is gone.
void Connection::look_ahead() {
  if (input_.size() > 0) return;
  const auto room = input_.prepare(kTlsRecordBytes);
  const Moved moved = receive({static_cast<char*>(room.data()), room.size()});
  if (moved.flow == Flow::kMoved) return input_.commit(moved.bytes);
  input_ = {};
  if (moved.flow == Flow::kWantsInput) return wait_for_input();
  if (moved.flow == Flow::kWantsOutput) return unstick_input();
  if (moved.flow == Flow::kEnded) return on_input_end();
  if (moved.flow == Flow::kBroken) lose();
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

// Writes soon, on the I/O thread and not from within whoever has something to say.
void Connection::flush() {
  if (phase_ == Phase::kClosed || std::exchange(write_is_due_, true)) return;
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->on_output(); });
}

void Connection::write_out() {
  if (phase_ == Phase::kClosed || phase_ == Phase::kGreeting) return;
  while (true) {
    if (written_ == in_flight_.size()) {
      if (in_flight_.capacity() > kKeptOutputBytes) in_flight_ = {};
      in_flight_.clear();
      written_ = 0;
      std::swap(in_flight_, out_);
    }
    if (in_flight_.empty()) return on_all_written();
    const Moved moved = transmit(std::string_view(in_flight_).substr(written_));
    if (moved.flow == Flow::kMoved) {
      written_ += moved.bytes;
      stall_is_timed_ = false;
      continue;
    }
    if (moved.flow != Flow::kWantsOutput) return lose();
    if (phase_ == Phase::kAnswering && !std::exchange(stall_is_timed_, true)) set_timer(pool_.limits.stall_s);
    return wait_for_output();
  }
}

void Connection::on_all_written() {
  if (phase_ == Phase::kAnswering) stop_timer();
  if (phase_ == Phase::kClosing) return linger();
  if (phase_ != Phase::kAnswering || !answered_) return;
  answered_ = false;
  served_ = true;
  hold_body(0);
  --pool_.exchanges;
  if (keep_alive_ && !pool_.closing) return wait_for_request();
  phase_ = Phase::kClosing;
  linger();
  pool_.tell_if_drained();
}

// ---- the end

void Connection::refuse(int status, std::string_view message) {
  keep_alive_ = false;
  phase_ = Phase::kClosing;
  parser_.reset();
  hold_body(0);
  const HttpResponse response = pool_.handler.protocol_error(status, message);
  queue_head(response, fmt::format("Content-Length: {}\r\n", response.body.size()));
  out_ += response.body;
  set_timer(pool_.limits.stall_s);
  flush();
}

// Closing a socket with unread input resets the connection, and the client may never read the answer.
void Connection::linger() {
  ErrorCode ignored;
  if (tls_) tls_->say_goodbye();
  socket_.shutdown(Socket::shutdown_send, ignored);
  set_timer(kLingerS);
  discard_input();
}

// As it comes from the network: nobody reads it any more.
void Connection::discard_input() {
  char scratch[4096];
  ErrorCode error;
  socket_.read_some(asio::buffer(scratch), error);
  if (error && error != asio::error::would_block && error != asio::error::try_again) return close();
  wait_for_input();
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
  hold_body(0);
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
