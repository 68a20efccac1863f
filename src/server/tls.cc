#include "server/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <fstream>
#include <system_error>

namespace folio::server {
namespace {

constexpr unsigned char kSessionName[] = "folio";

// The reason of OpenSSL's last error, with nothing left in its queue.
std::string take_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown error" : reason;
}

// Nobody is at the terminal to be asked.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// Clients that offer HTTP/2 too are told what it is to be; others choose for themselves.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* bytes, const unsigned char* offered,
                    unsigned offered_bytes, void*) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  const int result =
      SSL_select_next_proto(&found, bytes, kHttp11, sizeof kHttp11 - 1, offered, offered_bytes);
  *chosen = found;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

// Of TLS 1.2: who records a conversation cannot read it later with the certificate's key.
constexpr const char* kForwardSecretSuites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

void set_up(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, kForwardSecretSuites);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_session_id_context(context, kSessionName, sizeof kSessionName - 1);
}

Status check_readable(std::string_view flag, const std::string& path) {
  if (path.empty() || std::ifstream(path)) return {};
  return fail(ErrorKind::kIo, "--{}: cannot read '{}': {}", flag, path,
              std::generic_category().message(errno));
}

Status load_pair(SSL_CTX* context, const TlsFiles& files) {
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
    return fail(ErrorKind::kInvalid, "--ssl-certfile: '{}' is no readable PEM certificate: {}",
                files.certificate, take_reason());
  bool asked = false;
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  SSL_CTX_set_default_passwd_cb_userdata(context, &asked);
  const std::string& key = files.key.empty() ? files.certificate : files.key;
  const bool used = SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  if (asked)
    return fail(
        ErrorKind::kInvalid,
        "--ssl-keyfile: the key in '{}' has a passphrase, and nobody is there to be asked; take it off "
        "with openssl pkey",
        key);
  if (!used && ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
    return fail(ErrorKind::kInvalid, "--ssl-keyfile: '{}' is not the key of the certificate in '{}'", key,
                files.certificate);
  if (!used && files.key.empty())
    return fail(ErrorKind::kInvalid,
                "--ssl-certfile: '{}' holds no private key; name the key's file with --ssl-keyfile", key);
  if (!used)
    return fail(ErrorKind::kInvalid, "--ssl-keyfile: '{}' is no readable PEM key: {}", key, take_reason());
  return {};
}

Status load_authorities(SSL_CTX* context, const TlsFiles& files) {
  if (files.clients == ClientCertificates::kIgnore) return {};
  if (SSL_CTX_load_verify_file(context, files.authorities.c_str()) != 1)
    return fail(ErrorKind::kInvalid, "--ssl-ca-certs: '{}' holds no readable PEM certificates: {}",
                files.authorities, take_reason());
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files.authorities.c_str()));
  const bool required = files.clients == ClientCertificates::kRequire;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return {};
}

}  // namespace

void TlsSession::Free::operator()(ssl_st* session) const { SSL_free(session); }

void TlsContext::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

Result<std::unique_ptr<TlsContext>> TlsContext::load(const TlsFiles& files) {
  std::unique_ptr<TlsContext> made(new TlsContext(SSL_CTX_new(TLS_server_method())));
  SSL_CTX* context = made->context_.get();
  if (context == nullptr) return fail(ErrorKind::kIo, "TLS could not be set up: {}", take_reason());
  ERR_clear_error();
  set_up(context);
  FOLIO_TRY_STATUS(check_readable("ssl-certfile", files.certificate));
  FOLIO_TRY_STATUS(check_readable("ssl-keyfile", files.key));
  FOLIO_TRY_STATUS(check_readable("ssl-ca-certs", files.authorities));
  FOLIO_TRY_STATUS(load_pair(context, files));
  FOLIO_TRY_STATUS(load_authorities(context, files));
  ERR_clear_error();
  return made;
}

std::unique_ptr<TlsSession> TlsContext::open(int socket) const {
  std::unique_ptr<TlsSession> session(new TlsSession(SSL_new(context_.get())));
  if (session->session_ == nullptr || SSL_set_fd(session->session_.get(), socket) != 1) return nullptr;
  SSL_set_accept_state(session->session_.get());
  return session;
}

Flow TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(session_.get());
  const int reason = result == 1 ? 0 : ERR_GET_REASON(ERR_peek_error());
  if (reason == SSL_R_HTTP_REQUEST) {
    ERR_clear_error();
    return Flow::kPlainHttp;
  }
  return moved(result, 0).flow;
}

Moved TlsSession::receive(std::span<char> into) {
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_read_ex(session_.get(), into.data(), into.size(), &bytes);
  return moved(result, bytes);
}

Moved TlsSession::send(std::string_view bytes) {
  ERR_clear_error();
  std::size_t sent = 0;
  const int result = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &sent);
  return moved(result, sent);
}

void TlsSession::say_goodbye() {
  ERR_clear_error();
  SSL_shutdown(session_.get());
  ERR_clear_error();
}

// `result`: 1 for success, as OpenSSL's calls that move bytes say it.
Moved TlsSession::moved(int result, std::size_t bytes) {
  if (result == 1) return {.flow = Flow::kMoved, .bytes = bytes};
  const int error = SSL_get_error(session_.get(), result);
  ERR_clear_error();
  switch (error) {
    case SSL_ERROR_WANT_READ:
      return {.flow = Flow::kWantsInput};
    case SSL_ERROR_WANT_WRITE:
      return {.flow = Flow::kWantsOutput};
    case SSL_ERROR_ZERO_RETURN:
      return {.flow = Flow::kEnded};
    default:
      return {.flow = Flow::kBroken};
  }
}

}  // namespace folio::server
