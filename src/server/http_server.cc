#include "server/http_server.h"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>
#include <utility>

#include "platform/socket.h"
#include "server/connection.h"
#include "server/socket_stream.h"
#include "server/work_lanes.h"

namespace folio::server {
namespace {

namespace fs = std::filesystem;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;
using Endpoint = asio::generic::stream_protocol::endpoint;

constexpr auto kAcceptPause = std::chrono::milliseconds(100);  // when the system has no descriptor left

struct Address {
  Endpoint endpoint;
  asio::generic::stream_protocol protocol;
};

// A socket that nothing listens on was left by a server that ended.
Status make_way(const std::string& path) {
  if (path.size() > 107)
    return fail(ErrorKind::kInvalid, "--uds: the path of a Unix socket has at most 107 bytes, not {}",
                path.size());
  std::error_code ignored;
  if (fs::status(path, ignored).type() != fs::file_type::socket) return {};
  if (platform::answers_at(path))
    return fail(ErrorKind::kIo, "--uds: another server listens on '{}'; stop it, or choose another path",
                path);
  fs::remove(path, ignored);
  return {};
}

Result<Address> resolve(asio::io_context& io, const HttpOptions& options) {
  boost::system::error_code error;
  if (!options.unix_socket.empty()) {
    FOLIO_TRY_STATUS(make_way(options.unix_socket));
    return Address{asio::local::stream_protocol::endpoint(options.unix_socket),
                   asio::local::stream_protocol()};
  }
  asio::ip::tcp::resolver resolver(io);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), asio::ip::tcp::resolver::passive, error);
  if (error || found.empty())
    return fail(ErrorKind::kInvalid, "--host: '{}' is no address of this machine: {}", options.host,
                error.message());
  const asio::ip::tcp::endpoint endpoint = *found.begin();
  return Address{endpoint, endpoint.protocol()};
}

std::string format_address(const Acceptor& acceptor, const HttpOptions& options) {
  if (!options.unix_socket.empty()) return "unix:" + options.unix_socket;
  boost::system::error_code error;
  const asio::ip::tcp::endpoint tcp = tcp_endpoint(acceptor.local_endpoint(error));
  if (error) return {};
  const std::string host = tcp.address().to_string();
  const std::string_view scheme = options.tls.certificate.empty() ? "http" : "https";
  return tcp.address().is_v6() ? fmt::format("{}://[{}]:{}", scheme, host, tcp.port())
                               : fmt::format("{}://{}:{}", scheme, host, tcp.port());
}

Reach reach_of(const Acceptor& acceptor) {
  boost::system::error_code error;
  const Endpoint bound = acceptor.local_endpoint(error);
  if (host_of(bound).empty()) return Reach::kUnixSocket;
  return tcp_endpoint(bound).address().is_loopback() ? Reach::kThisMachine : Reach::kNetwork;
}

}  // namespace

struct HttpServer::State {
  asio::io_context io{1};
  Acceptor acceptor{io};
  asio::signal_set signals{io};
  Reach reach = Reach::kUnixSocket;
  asio::steady_timer pause{io}, clock{io};
  std::string address, unix_socket;
  platform::FileIdentity unix_file;  // of the socket, to remove no other's
  int signal_count = 0;
  std::unique_ptr<TlsContext> tls;  // null: plain text; the connections use it
  ConnectionPool pool;
  WorkLanes lanes;

  State(const HttpLimits& limits, Handler& handler) : pool(limits, handler) {}

  Status open(const HttpOptions& options) {
    if (!options.tls.certificate.empty()) {
      FOLIO_TRY(loaded, TlsContext::load(options.tls));
      tls = std::move(loaded);
    }
    FOLIO_TRY(where, resolve(io, options));
    boost::system::error_code error;
    acceptor.open(where.protocol, error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(where.endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      const std::string what = options.unix_socket.empty() ? fmt::format("{}:{}", options.host, options.port)
                                                           : options.unix_socket;
      return fail(ErrorKind::kIo, "cannot listen on {}: {}; choose another with --port, --host or --uds",
                  what, error.message());
    }
    unix_socket = options.unix_socket;
    if (!unix_socket.empty()) unix_file = platform::identity_of(unix_socket);
    reach = reach_of(acceptor);
    address = format_address(acceptor, options);
    signals.add(SIGINT, error);
    signals.add(SIGTERM, error);
    return {};
  }

  void accept() {
    acceptor.async_accept([this](boost::system::error_code error, Socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {
        pause.expires_after(kAcceptPause);
        pause.async_wait([this](boost::system::error_code stopped) {
          if (!stopped) accept();
        });
        return;
      }
      take(std::move(socket));
      accept();
    });
  }

  void take(Socket socket) {
    if (pool.open.size() >= 2 * pool.limits.connections) return;  // those told so are not gone yet
    auto stream = std::make_unique<SocketStream>(std::move(socket), tls.get());
    const std::string why = pool.why_full(stream->peer());
    if (!why.empty() && tls) return;  // what it is told before the handshake it does not understand
    auto connection = std::make_shared<Connection>(std::move(stream), io, pool);
    pool.add(connection);
    if (why.empty())
      connection->start();
    else
      connection->refuse(503, why);
  }

  void repeat(std::chrono::milliseconds after, std::function<void()> task) {
    clock.expires_after(after);
    clock.async_wait([this, after, task = std::move(task)](boost::system::error_code stopped) mutable {
      if (stopped) return;
      task();
      repeat(after, std::move(task));
    });
  }

  void wait_for_signal() {
    signals.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      pool.handler.on_signal(++signal_count);
      wait_for_signal();
    });
  }
};

std::size_t HttpLimits::most_body_bytes() const { return all_bodies_bytes + connections * kFreeBodyBytes; }

std::size_t HttpLimits::most_connection_bytes() const {
  constexpr std::size_t kReadAhead = std::size_t{32} << 10;
  return kAllHeadersBytes + connections * (kFreeHeaderBytes + kReadAhead);
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  finish_work();
  const auto open = std::exchange(state_->pool.open, {});
  for (const auto& connection : open) connection->abort();
  if (state_->unix_socket.empty() || platform::identity_of(state_->unix_socket) != state_->unix_file) return;
  std::error_code ignored;
  fs::remove(state_->unix_socket, ignored);
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const HttpOptions& options, Handler& handler) {
  auto state = std::make_unique<State>(options.limits, handler);
  FOLIO_TRY_STATUS(state->open(options));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

Reach HttpServer::reach() const { return state_->reach; }

const std::string& HttpServer::address() const { return state_->address; }

void HttpServer::run() {
  state_->accept();
  state_->wait_for_signal();
  state_->io.run();
}

void HttpServer::stop() { state_->io.stop(); }

void HttpServer::post(std::function<void()> task) { asio::post(state_->io, std::move(task)); }

void HttpServer::every(std::chrono::milliseconds pause, std::function<void()> task) {
  state_->repeat(pause, std::move(task));
}

void HttpServer::work(std::size_t bytes, std::function<void()> task) {
  state_->lanes.post(bytes, std::move(task));
}

void HttpServer::finish_work() { state_->lanes.finish(); }

void HttpServer::close_idle(std::function<void()> done) {
  state_->pool.closing = true;
  state_->pool.on_drained = std::move(done);
  const auto open = state_->pool.open;
  for (const auto& connection : open) connection->close_if_idle();
  state_->pool.tell_if_drained();
}

std::size_t HttpServer::exchanges() const { return state_->pool.exchanges; }

std::size_t HttpServer::connections() const { return state_->pool.open.size(); }

}  // namespace folio::server
