// Gate: who may ask, decided from a request's head alone: its key, the host that it names, and the web page
// that it comes from.
//
// Where nobody needs a key and only this machine can connect, the browser of whoever sits there is the way
// in: a page of any origin can send requests to it, and a name of the page's own can be made to mean
// 127.0.0.1. So there, unless the options say otherwise, the host named must be this machine, and so must a
// page's origin.
//
// Thread rule: the I/O thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/api_error.h"
#include "server/http.h"
#include "server/http_server.h"

namespace folio::server {

struct GateOptions {
  std::vector<std::string> api_keys;         // none: everybody may
  std::vector<std::string> allowed_origins;  // "*": all; none: see above, and all elsewhere
  std::vector<std::string>
      allowed_hosts;  // besides this machine's names, where these are asked for; "*": all
};

class Gate {
 public:
  Gate(GateOptions options, Reach reach) : options_(std::move(options)), reach_(reach) {}

  // Which key the request has, from 1; 0: none is needed. nullopt: it has none. It may stand in Authorization
  // as a Bearer's, in api-key or in x-api-key.
  std::optional<std::size_t> key_of(const HttpRequest& request) const;
  // Errors: 403 naming the flag, for a host or an origin that may not ask.
  api::Checked<void> check_page(const HttpRequest& request) const;
  // What a browser has to be told for its page to see the answer.
  std::vector<Header> cors_headers(const HttpRequest& request) const;

 private:
  bool is_guarded() const { return reach_ == Reach::kThisMachine && options_.api_keys.empty(); }
  bool allows_origin(const std::string& origin) const;

  GateOptions options_;
  Reach reach_;
};

// "localhost", "x.localhost", "127.1.2.3", "[::1]", with a port or without.
[[nodiscard]] bool names_this_machine(std::string_view host);

}  // namespace folio::server
