#include "server/connection.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <boost/beast/http/field.hpp>
#include <ctime>
#include <utility>

#include "server/target.h"

namespace folio::server {
namespace {

namespace http = boost::beast::http;

constexpr double kLingerS = 2;                    // for a refused client to read why
constexpr std::size_t kKeptOutputBytes = 16'384;  // of a written answer's buffer
constexpr auto kEndWatch = std::chrono::milliseconds(250);
constexpr std::size_t kAllHeadersBytes = std::size_t{32} << 20;  // of what is read of all requests' headers

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::string text_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

ConnectionPool::ConnectionPool(const HttpLimits& within, Handler& who)
    : limits(within),
      handler(who),
      bodies(std::make_shared<ByteBudget>(within.all_bodies_bytes, kFreeBodyBytes)),
      headers(std::make_shared<ByteBudget>(kAllHeadersBytes, kFreeHeaderBytes)) {}

std::string ConnectionPool::why_full(const std::string& address) const {
  if (open.size() >= limits.connections)
    return fmt::format("{} connections are open, as many as --max-connections allows; try again later",
                       limits.connections);
  const auto same = by_address.find(address);
  if (same == by_address.end() || same->second < limits.connections_per_address) return {};
  return fmt::format(
      "{} connections from {} are open, as many as --max-connections-per-address allows; try again later",
      same->second, address);
}

void ConnectionPool::add(const std::shared_ptr<Connection>& connection) {
  open.insert(connection);
  if (!connection->address().empty()) ++by_address[connection->address()];
}

void ConnectionPool::remove(const std::shared_ptr<Connection>& connection) {
  if (open.erase(connection) == 0) return;
  const auto same = by_address.find(connection->address());
  if (same != by_address.end() && --same->second == 0) by_address.erase(same);
}

Connection::Connection(std::unique_ptr<ByteStream> stream, asio::io_context& io, ConnectionPool& pool)
    : stream_(std::move(stream)),
      io_(io),
      pool_(pool),
      address_(stream_->peer()),
      timer_(io),
      end_watch_(io),
      input_share_(pool.headers) {}

void Connection::start() {
  phase_ = Phase::kGreeting;
  set_timer(pool_.limits.request_s);
  greet();
}

// ---- the stream

// One wait at a time; on_input() looks at what it means.
void Connection::wait_for_input() {
  if (std::exchange(watching_, true)) return;
  stream_->wait(ByteStream::Ready::kInput, [self = shared_from_this()] {
    self->watching_ = false;
    self->on_input();
  });
}

void Connection::wait_for_output() {
  if (std::exchange(write_is_due_, true)) return;
  stream_->wait(ByteStream::Ready::kOutput, [self = shared_from_this()] { self->on_output(); });
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
  switch (stream_->greet()) {
    case Flow::kMoved:
      return wait_for_request();
    case Flow::kWantsInput:
      return wait_for_input();
    case Flow::kWantsOutput:
      return unstick_input();
    case Flow::kPlainHttp:
      return refuse(400, "this port takes TLS only: use https:// instead of http://");
    default:
      return close();
  }
}

// ---- reading

void Connection::wait_for_request() {
  phase_ = Phase::kWaiting;
  parser_.reset();
  request_ = {};
  begun_ = false;
  skip_blank_lines();
  if (input_.size() > 0) return begin_request();
  input_ = {};
  input_share_.resize(0);
  if (input_ended_) return close();
  set_timer(pool_.limits.idle_s);
  wait_for_input();
}

void Connection::begin_request() {
  phase_ = Phase::kReading;
  set_timer(pool_.limits.request_s);
  header_is_read_ = false;
  request_.share = ByteShare(pool_.bodies);
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
  skip_blank_lines();
  if (input_.size() == 0) return false;
  ErrorCode error;
  const std::size_t used = parser_->put(input_.data(), error);
  input_.consume(used);
  if (error && error != http::error::need_more) {
    on_read_error(error);
    return true;
  }
  if (header_is_read_ && !count_body()) return true;
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

// Before a request (RFC 9112, 2.2).
void Connection::skip_blank_lines() {
  while (!begun_ && input_.size() > 0) {
    const char next = *static_cast<const char*>(input_.data().data());
    begun_ = next != '\r' && next != '\n';
    if (!begun_) input_.consume(1);
  }
}

// False: nothing came yet, or the connection has ended.
bool Connection::read_more() {
  const auto room = input_.prepare(kTlsRecordBytes);
  if (!input_share_.resize(input_.capacity())) {
    refuse(503, "the headers of all requests take too much memory; try again later");
    return false;
  }
  const Moved moved = stream_->receive({static_cast<char*>(room.data()), room.size()});
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
  if (!check_framing() || !read_head()) return;
  Admission admission = pool_.handler.admit(request_);
  if (admission.refusal) {
    keep_alive_ = keep_alive_ && parser_->is_done();  // a body is not read to its end
    begin_answer();
    return respond(std::move(*admission.refusal));
  }
  body_limit_ = std::min(admission.body_bytes, pool_.limits.body_bytes);
  if (!expect_body()) return;
  if (parser_->is_done()) dispatch();
}

// What says where a request ends says it once, and in one way; so does what says for whom it is. Whoever is
// between may have understood the rest differently. False: refused.
bool Connection::check_framing() {
  const auto& head = parser_->get();
  const std::size_t hosts = head.count(http::field::host), codings = head.count(http::field::transfer_encoding);
  if (hosts > 1 || (http_1_1_ && hosts == 0)) {
    refuse(400, fmt::format("a request has one header 'Host', not {}", hosts == 0 ? "none" : "several"));
  } else if (codings > 0 && (!http_1_1_ || head.count(http::field::content_length) > 0)) {
    refuse(400, "the header 'Transfer-Encoding' is for HTTP/1.1, and without 'Content-Length'");
  } else if (codings > 1 ||
             (codings == 1 && !boost::beast::iequals(head[http::field::transfer_encoding], "chunked"))) {
    refuse(501, "the header 'Transfer-Encoding' may only say chunked, once");
  } else {
    return true;
  }
  return false;
}

// False: refused.
bool Connection::read_head() {
  const auto& head = parser_->get();
  auto target = parse_target({head.target().data(), head.target().size()});
  if (!target) {
    refuse(400, "the request's target is neither a path nor a URL, or it holds a malformed escape");
    return false;
  }
  request_.method = text_of(head.method_string());
  request_.path = std::move(target->path);
  for (const auto& field : head)
    request_.headers.push_back({text_of(field.name_string()), text_of(field.value())});
  const std::string* host = request_.find("host");
  request_.host = !target->authority.empty() ? std::move(target->authority) : host ? *host : std::string();
  head_only_ = request_.method == "HEAD";
  return true;
}

// False: refused.
bool Connection::expect_body() {
  const auto& head = parser_->get();
  if (parser_->content_length().value_or(0) > body_limit_) {
    on_read_error(http::error::body_limit);
    return false;
  }
  if (const auto expect = head.find(http::field::expect); expect != head.end()) {
    if (!boost::beast::iequals(expect->value(), "100-continue")) {
      refuse(417, "the header 'Expect' may only say 100-continue");
      return false;
    }
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    flush();
  }
  return true;
}

// False: refused, since this body, or all of them, are too long.
bool Connection::count_body() {
  const std::string& body = parser_->get().body();
  if (body.size() > body_limit_) {
    on_read_error(http::error::body_limit);
  } else if (!request_.share.resize(body.capacity())) {
    refuse(429, fmt::format("the bodies of all requests take more than {} bytes together; try again later, or "
                            "raise --max-all-request-bytes",
                            pool_.bodies->most()));
  } else {
    return true;
  }
  return false;
}

void Connection::on_read_error(ErrorCode error) {
  if (error == http::error::header_limit)
    return refuse(431,
                  fmt::format("the request's header is longer than {} bytes", pool_.limits.header_bytes));
  if (error == http::error::body_limit && header_is_read_ && body_limit_ < pool_.limits.body_bytes)
    return refuse(413, fmt::format("this request may have a body of {} bytes at most", body_limit_));
  if (error == http::error::body_limit)
    return refuse(413, fmt::format("the request's body is longer than {} bytes; folio serve "
                                   "--max-request-bytes raises the limit",
                                   pool_.limits.body_bytes));
  return refuse(400, fmt::format("this is no HTTP/1.1 request: {}", error.message()));
}

void Connection::begin_answer() {
  phase_ = Phase::kAnswering;
  stop_timer();
  streaming_ = answered_ = false;
  ++pool_.exchanges;
}

void Connection::dispatch() {
  begin_answer();
  request_.body = std::move(parser_->get().body());
  parser_.reset();
  if (input_.size() == 0) {
    input_ = {};
    input_share_.resize(0);
    if (!input_ended_) wait_for_input();
  } else {
    watch_for_end();
  }
  pool_.handler.handle(shared_from_this(), std::move(request_));
}

// During an answer: the next request may come already; the end of the input may mean that the client is gone.
void Connection::look_ahead() {
  if (input_.size() > 0) return;
  const auto room = input_.prepare(kTlsRecordBytes);
  const Moved moved = stream_->receive({static_cast<char*>(room.data()), room.size()});
  if (moved.flow == Flow::kMoved) {
    input_.commit(moved.bytes);
    return watch_for_end();
  }
  input_ = {};
  if (moved.flow == Flow::kWantsInput) return wait_for_input();
  if (moved.flow == Flow::kWantsOutput) return unstick_input();
  if (moved.flow == Flow::kEnded) return on_input_end();
  if (moved.flow == Flow::kBroken) lose();
}

// While something of a next request is there, the input is not read on, and does not tell its end.
void Connection::watch_for_end() {
  if (input_ended_) return;
  end_watch_.expires_after(kEndWatch);
  end_watch_.async_wait([self = shared_from_this()](ErrorCode stopped) {
    if (stopped || self->phase_ != Phase::kAnswering || self->input_.size() == 0) return;
    if (self->stream_->input_has_ended()) return self->on_input_end();
    self->watch_for_end();
  });
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
  stream_->wait(ByteStream::Ready::kError, [self = shared_from_this()] { self->lose(); });
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
  asio::post(io_, [self = shared_from_this()] { self->on_output(); });
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
    const Moved moved = stream_->send(std::string_view(in_flight_).substr(written_));
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
  --pool_.exchanges;
  if (keep_alive_ && !pool_.closing) return wait_for_request();
  phase_ = Phase::kClosing;
  linger();
  pool_.tell_if_drained();
}

// ---- the end

void Connection::refuse(int status, std::string_view message) {
  keep_alive_ = false;
  request_ = {};
  parser_.reset();
  phase_ = Phase::kClosing;
  const HttpResponse response = pool_.handler.protocol_error(status, message);
  queue_head(response, fmt::format("Content-Length: {}\r\n", response.body.size()));
  out_ += response.body;
  set_timer(pool_.limits.stall_s);
  flush();
}

// Closing a socket with unread input resets the connection, and the client may never read the answer.
void Connection::linger() {
  stream_->end_output();
  set_timer(kLingerS);
  discard_input();
}

void Connection::discard_input() {
  if (!stream_->discard_input()) return close();
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
  if (phase_ == Phase::kReading && begun_)
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
  // A request that is on its way already is answered.
  if (phase_ == Phase::kWaiting && served_ && !stream_->has_input()) close();
}

void Connection::abort() { close(); }

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  const bool was_answering = phase_ == Phase::kAnswering;
  phase_ = Phase::kClosed;
  on_gone = nullptr;
  timer_.cancel();
  end_watch_.cancel();
  stream_->close();
  request_ = {};
  if (was_answering) --pool_.exchanges;
  const auto self = shared_from_this();  // the pool may hold the last other one
  pool_.remove(self);
  if (was_answering) pool_.tell_if_drained();
}

}  // namespace folio::server
