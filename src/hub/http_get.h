// http_get(): one GET over HTTP or HTTPS, redirects followed, the body given away piece by piece. With its
// source the only user of Asio, Beast and TLS in this floor.
//
// Threads: any; it waits. Errors: kIo when the connection fails, is cut or says nothing for kSilenceS;
// whatever a callback returns.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::hub {

inline constexpr int kSilenceS = 60;
inline constexpr int kMaxRedirects = 8;

struct GetRequest {
  std::string url;
  std::string token;       // sent to the URL's own host only, not where it redirects to
  std::size_t offset = 0;  // asks for what follows; the answer may begin at 0 all the same
};

struct GetResponse {
  int status = 0;
  std::size_t begin = 0;                   // of the body in the whole
  std::optional<std::size_t> whole_bytes;  // body and what is before it
  std::string sha256;                      // as a header on the way said; empty: none did
};

struct GetCallbacks {
  std::function<Status(const GetResponse&)> on_head;  // of the last answer
  std::function<Status(std::string_view)> on_body;
};

[[nodiscard]] Result<GetResponse> http_get(const GetRequest& request, const GetCallbacks& callbacks);

}  // namespace folio::hub
