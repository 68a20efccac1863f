// The half of Connection that reads requests.
#include <fmt/format.h>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <utility>

#include "server/connection.h"
#include "server/target.h"

namespace folio::server {
namespace {

namespace http = boost::beast::http;

constexpr auto kEndWatch = std::chrono::milliseconds(250);

std::string text_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

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
  const std::size_t hosts = head.count(http::field::host),
                    codings = head.count(http::field::transfer_encoding);
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
    refuse(429,
           fmt::format("the bodies of all requests take more than {} bytes together; try again later, or "
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

}  // namespace folio::server
