#include "server/socket_stream.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <utility>

#include "platform/socket.h"

namespace folio::server {
namespace {

using ErrorCode = boost::system::error_code;

bool would_block(ErrorCode error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

}  // namespace

asio::ip::tcp::endpoint tcp_endpoint(const asio::generic::stream_protocol::endpoint& endpoint) {
  asio::ip::tcp::endpoint tcp;
  const std::size_t bytes = std::min<std::size_t>(endpoint.size(), tcp.capacity());
  std::copy_n(reinterpret_cast<const char*>(endpoint.data()), bytes, reinterpret_cast<char*>(tcp.data()));
  tcp.resize(bytes);
  return tcp;
}

std::string host_of(const asio::generic::stream_protocol::endpoint& endpoint) {
  const int family = endpoint.protocol().family();
  if (family != AF_INET && family != AF_INET6) return {};
  return tcp_endpoint(endpoint).address().to_string();
}

SocketStream::SocketStream(Socket socket, const TlsContext* tls) : socket_(std::move(socket)), context_(tls) {
  ErrorCode error;
  socket_.non_blocking(true, error);
  socket_.set_option(asio::ip::tcp::no_delay(true), error);  // a Unix socket has no such option
  const auto peer = socket_.remote_endpoint(error);
  if (!error) peer_ = host_of(peer);
}

Flow SocketStream::greet() {
  if (context_ == nullptr) return Flow::kMoved;
  if (!tls_) tls_ = context_->open(socket_.native_handle());
  if (!tls_) return Flow::kBroken;
  const Flow flow = tls_->handshake();
  if (flow == Flow::kPlainHttp) tls_.reset();
  return flow;
}

Moved SocketStream::receive(std::span<char> into) {
  if (tls_) return tls_->receive(into);
  ErrorCode error;
  const std::size_t bytes = socket_.read_some(asio::buffer(into.data(), into.size()), error);
  if (!error) return {.flow = Flow::kMoved, .bytes = bytes};
  if (would_block(error)) return {.flow = Flow::kWantsInput};
  return {.flow = error == asio::error::eof ? Flow::kEnded : Flow::kBroken};
}

Moved SocketStream::send(std::string_view bytes) {
  if (tls_) return tls_->send(bytes);
  ErrorCode error;
  const std::size_t sent = socket_.write_some(asio::buffer(bytes.data(), bytes.size()), error);
  if (!error) return {.flow = Flow::kMoved, .bytes = sent};
  return {.flow = would_block(error) ? Flow::kWantsOutput : Flow::kBroken};
}

void SocketStream::wait(Ready what, std::function<void()> then) {
  const auto kind = what == Ready::kInput    ? Socket::wait_read
                    : what == Ready::kOutput ? Socket::wait_write
                                             : Socket::wait_error;
  socket_.async_wait(kind, [then = std::move(then)](ErrorCode error) {
    if (!error) then();
  });
}

bool SocketStream::input_has_ended() { return platform::input_has_ended(socket_.native_handle()); }

bool SocketStream::has_input() {
  ErrorCode error;
  return socket_.available(error) > 0;
}

void SocketStream::end_output() {
  ErrorCode ignored;
  if (tls_) tls_->say_goodbye();
  socket_.shutdown(Socket::shutdown_send, ignored);
}

// As it comes from the network: nobody reads it any more.
bool SocketStream::discard_input() {
  char scratch[4096];
  ErrorCode error;
  socket_.read_some(asio::buffer(scratch), error);
  return !error || would_block(error);
}

void SocketStream::close() {
  ErrorCode ignored;
  socket_.close(ignored);
}

}  // namespace folio::server
