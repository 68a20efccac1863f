// HTTP as the endpoints see it: a whole request, and the way back to its client.
//
// Thread rule: everything here happens on the I/O thread (HttpServer::run()).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/byte_budget.h"

namespace folio::server {

struct Header {
  std::string name, value;
};

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // see Target
  std::string host;    // of the target or of the header Host; empty: none
  std::vector<Header> headers;
  std::string body;
  ByteShare share;  // of what all bodies may take; kept as long as anything made of the body

  // The first header of that name, whatever its case; null: there is none.
  const std::string* find(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<Header> headers;  // besides those of the protocol itself
};

// The way back to one client. Exactly one respond(), or one begin(), any number of send() and one end().
// What is sent waits in memory while the client reads slowly, so that nobody waits for it; whoever sends
// bounds it.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual void respond(HttpResponse response) = 0;
  virtual void begin(HttpResponse head) = 0;  // its body is not sent
  virtual void send(std::string_view bytes) = 0;
  virtual void end() = 0;

  // Called at most once, when the client is gone before respond() or end().
  std::function<void()> on_gone;
};

// What is made of a request's head.
struct Admission {
  std::optional<HttpResponse> refusal;  // the answer, before any byte of a body is read
  std::size_t body_bytes = kNoLimit;    // a longer body is refused

  static constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);
};

class Handler {
 public:
  virtual ~Handler() = default;
  // `head`: without its body, which may be on its way.
  virtual Admission admit(const HttpRequest& head) = 0;
  // `exchange` may be answered now or later.
  virtual void handle(std::shared_ptr<Exchange> exchange, HttpRequest request) = 0;
  // The answer to what is no request at all: too long, malformed, too many.
  virtual HttpResponse protocol_error(int status, std::string_view message) = 0;
  // The first SIGINT or SIGTERM, then the second.
  virtual void on_signal(int count) = 0;
};

// "Bad Request" for 400.
std::string_view reason_phrase(int status);
// ASCII letters of either case are equal.
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace folio::server
