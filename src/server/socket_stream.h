// SocketStream: a socket, plain or with TLS, as a ByteStream.
//
// Thread rule: the I/O thread.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "server/byte_stream.h"

namespace folio::server {

namespace asio = boost::asio;
using Socket = asio::generic::stream_protocol::socket;

// Requires: of IPv4 or IPv6.
[[nodiscard]] asio::ip::tcp::endpoint tcp_endpoint(const asio::generic::stream_protocol::endpoint& endpoint);
// "192.0.2.7" of an address and port; empty: a Unix socket.
[[nodiscard]] std::string host_of(const asio::generic::stream_protocol::endpoint& endpoint);

class SocketStream final : public ByteStream {
 public:
  // `tls`: null for plain text; outlives the stream.
  SocketStream(Socket socket, const TlsContext* tls);

  Flow greet() override;
  Moved receive(std::span<char> into) override;
  Moved send(std::string_view bytes) override;
  void wait(Ready what, std::function<void()> then) override;
  bool input_has_ended() override;
  bool has_input() override;
  void end_output() override;
  bool discard_input() override;
  void close() override;
  std::string peer() const override { return peer_; }

 private:
  Socket socket_;
  const TlsContext* context_;
  std::unique_ptr<TlsSession> tls_;
  std::string peer_;
};

}  // namespace folio::server
