// HttpClient: GETs over HTTP or HTTPS by libcurl, redirects followed, the body given away piece by piece.
//
// Certificates are checked, against $SSL_CERT_FILE where it is set. Proxies are taken from the environment
// (HTTPS_PROXY, http_proxy, ALL_PROXY, NO_PROXY), but not for this machine's own addresses. HTTP/2 where a
// server offers it. Threads: one, which waits. Ownership: keeps connections for the next request.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::hub {

// A connection that is not made in this time, or over which less than a byte a second comes for so long, has
// failed.
inline constexpr std::chrono::seconds kSilence{60};
inline constexpr int kMaxRedirects = 8;
inline constexpr std::size_t kMaxHeadBytes = 1u << 16;  // headers of one answer

struct GetRequest {
  std::string url;
  std::string token;       // sent to the URL's own origin only, never to another that it redirects to
  std::size_t offset = 0;  // asks for what follows; the answer may begin at 0 all the same
};

struct GetResponse {
  int status = 0;
  std::size_t begin = 0;                   // of the body in the whole
  std::optional<std::size_t> whole_bytes;  // body and what is before it
  std::string sha256;                      // as a header on the way said; empty: none did
  std::string tag;                         // of this version of the body; empty: none
  std::string next_page;                   // a URL; empty: this is the last
  std::chrono::seconds retry_after{0};     // as the server asks; 0: it does not
};

// Of the last answer. Called for 200 and 206 only: the body of a refusal is left alone.
struct GetCallbacks {
  std::function<Status(const GetResponse&)> on_head;
  std::function<Status(std::string_view)> on_body;
};

struct GetFailure {
  enum class Cause {
    kUnreachable,  // no name, no route, no answer
    kCut,          // what came is good, and the rest may be had later
    kFinal,        // again would be the same: a certificate, a redirect, or what a callback returned
  };
  Error error;
  Cause cause = Cause::kFinal;
};

class HttpClient {
 public:
  HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  [[nodiscard]] std::expected<GetResponse, GetFailure> get(const GetRequest& request,
                                                           const GetCallbacks& callbacks);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace folio::hub
