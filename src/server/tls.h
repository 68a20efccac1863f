// TLS of the server: a certificate and its key, read once, and one session for each connection. The only user
// of OpenSSL on this floor.
//
// Thread rule: TlsContext::load() anywhere; sessions on the I/O thread. Memory: an idle session keeps some
// 10 KB.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

struct ssl_ctx_st;
struct ssl_st;

namespace folio::server {

enum class ClientCertificates { kIgnore, kVerify, kRequire };  // kVerify: those that are shown

struct TlsFiles {
  std::string certificate;  // PEM, the chain behind it; empty: no TLS
  std::string key;          // PEM without a passphrase; empty: it is in `certificate`
  std::string authorities;  // PEM of those who sign clients' certificates
  ClientCertificates clients = ClientCertificates::kIgnore;
};

// What became of an attempt to move bytes, which never blocks.
enum class Flow {
  kMoved,
  kWantsInput,   // when the socket can be read
  kWantsOutput,  // when it can be written
  kEnded,        // the peer sends nothing more
  kBroken,
  kPlainHttp,  // of a handshake: the peer speaks HTTP without TLS
};
struct Moved {
  Flow flow = Flow::kMoved;
  std::size_t bytes = 0;
};

// Plain text of one TLS record at most. A receive() of so many bytes leaves none behind that no wait on the
// socket would tell of.
inline constexpr std::size_t kTlsRecordBytes = 16'384;

class TlsSession {
 public:
  [[nodiscard]] Flow handshake();
  // Requires: handshake() has moved; `into` has room for kTlsRecordBytes.
  [[nodiscard]] Moved receive(std::span<char> into);
  // After kWantsInput or kWantsOutput the same bytes are to be given again.
  [[nodiscard]] Moved send(std::string_view bytes);
  void say_goodbye();  // that nothing more is sent; best effort

  struct Free {
    void operator()(ssl_st* session) const;
  };

 private:
  friend class TlsContext;
  explicit TlsSession(ssl_st* session) : session_(session) {}
  Moved moved(int result, std::size_t bytes);

  std::unique_ptr<ssl_st, Free> session_;
};

class TlsContext {
 public:
  // Errors: a file that cannot be read or is no PEM, a key of another certificate or with a passphrase, each
  // naming the flag.
  [[nodiscard]] static Result<std::unique_ptr<TlsContext>> load(const TlsFiles& files);

  // `socket` is a non-blocking descriptor that outlives the session; the process ignores SIGPIPE. Null: no
  // memory.
  [[nodiscard]] std::unique_ptr<TlsSession> open(int socket) const;

  struct Free {
    void operator()(ssl_ctx_st* context) const;
  };

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}

  std::unique_ptr<ssl_ctx_st, Free> context_;
};

}  // namespace folio::server
