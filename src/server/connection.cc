#include "server/connection.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <ctime>
#include <utility>

namespace folio::server {
namespace {

constexpr double kLingerS = 2;                    // for a refused client to read why
constexpr std::size_t kKeptOutputBytes = 16'384;  // of a written answer's buffer

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

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
