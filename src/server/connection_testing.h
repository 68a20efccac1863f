// For tests of connections, and the fuzzer: a client that is a buffer, and a handler that keeps what it is
// given.
#pragma once

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/connection.h"

namespace folio::server::testing_support {

class FakeStream final : public ByteStream {
 public:
  // What the client does.
  std::string incoming;        // has been sent and is not read yet
  bool ended = false;          // nothing follows it
  bool reset = false;          // nor does anybody read
  std::size_t piece = 65'536;  // so many bytes come at once
  // What it sees.
  std::string sent;
  bool output_ended = false, closed = false;

  Flow greet() override { return Flow::kMoved; }
  Moved receive(std::span<char> into) override {
    if (closed || reset) return {.flow = Flow::kBroken};
    if (incoming.empty()) return {.flow = ended ? Flow::kEnded : Flow::kWantsInput};
    const std::size_t bytes = std::min({into.size(), piece, incoming.size()});
    std::copy_n(incoming.begin(), bytes, into.begin());
    incoming.erase(0, bytes);
    return {.flow = Flow::kMoved, .bytes = bytes};
  }
  Moved send(std::string_view bytes) override {
    if (closed || reset) return {.flow = Flow::kBroken};
    sent += bytes;
    return {.flow = Flow::kMoved, .bytes = bytes.size()};
  }
  void wait(Ready what, std::function<void()> then) override { waiting_.emplace(what, std::move(then)); }
  bool input_has_ended() override { return ended || reset; }
  bool has_input() override { return !incoming.empty(); }
  void end_output() override { output_ended = true; }
  bool discard_input() override {
    incoming.clear();
    return !ended && !reset;
  }
  void close() override {
    closed = true;
    waiting_.clear();
  }
  std::string peer() const override { return "192.0.2.7"; }

  // Tells one who waits that it is ready. False: nothing is.
  bool tell() {
    for (auto at = waiting_.begin(); at != waiting_.end(); ++at) {
      const bool readable = !incoming.empty() || ended || reset;
      const bool ready = at->first == Ready::kOutput || (at->first == Ready::kError ? reset : readable);
      if (!ready) continue;
      const auto then = std::move(at->second);
      waiting_.erase(at);
      then();
      return true;
    }
    return false;
  }

 private:
  std::multimap<Ready, std::function<void()>> waiting_;
};

class FakeHandler final : public Handler {
 public:
  Admission admit(const HttpRequest& head) override {
    ++admitted;
    return on_head ? on_head(head) : Admission{};
  }
  void handle(std::shared_ptr<Exchange> exchange, HttpRequest request) override {
    exchange->on_gone = [this] { ++gone; };
    if (answers) exchange->respond({.body = request.path, .headers = {}});
    exchanges.push_back(std::move(exchange));
    requests.push_back(std::move(request));
  }
  HttpResponse protocol_error(int status, std::string_view message) override {
    return {.status = status, .body = std::string(message), .headers = {}};
  }
  void on_signal(int) override {}

  std::function<Admission(const HttpRequest&)> on_head;
  bool answers = true;  // each request at once, with its path
  std::size_t admitted = 0, gone = 0;
  std::vector<HttpRequest> requests;
  std::vector<std::shared_ptr<Exchange>> exchanges;
};

// Connections of one server. Clients live as long as it does.
struct FakeServer {
  explicit FakeServer(const HttpLimits& limits = {}) : pool(limits, handler) {}
  ~FakeServer() {
    handler.exchanges.clear();
    for (const auto& [connection, stream] : clients) connection->abort();
  }

  FakeStream& connect() {
    auto stream = std::make_unique<FakeStream>();
    FakeStream& client = *stream;
    auto connection = std::make_shared<Connection>(std::move(stream), io, pool);
    pool.add(connection);
    clients.emplace_back(connection, &client);
    connection->start();
    return client;
  }
  // Until nothing happens without time passing, or a client.
  void run() {
    for (bool told = true; told;) {
      io.restart();
      told = io.poll() > 0;
      for (const auto& [connection, stream] : clients) told = stream->tell() || told;
    }
  }
  void run_for(std::chrono::milliseconds time) {
    io.restart();
    io.run_for(time);
    run();
  }
  // What one client that sends `bytes` is answered.
  std::string answer_to(std::string bytes, std::size_t piece = 65'536) {
    FakeStream& client = connect();
    client.piece = piece;
    client.incoming = std::move(bytes);
    run();
    return client.sent;
  }

  boost::asio::io_context io;
  FakeHandler handler;
  ConnectionPool pool;
  std::vector<std::pair<std::shared_ptr<Connection>, FakeStream*>> clients;
};

}  // namespace folio::server::testing_support
