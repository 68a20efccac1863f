// Url: an http or https address, as far as it matters whom one speaks to. Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace folio::hub {

struct Url {
  std::string text;  // printable ASCII
  std::string host;  // in lower case; an IPv6 address in brackets
  std::string port;  // also where the text leaves it out
  bool tls = true;

  bool has_origin_of(const Url& other) const {
    return tls == other.tls && host == other.host && port == other.port;
  }
  // This machine, by a name or number that no resolver is needed for.
  bool is_loopback() const;
};

// Errors: no http(s), no host, a user name or password in it, characters that no URL has.
[[nodiscard]] Result<Url> parse_url(const std::string& text);

// What a server names in an answer to `base`: a URL, or the part of one that differs. Errors: as above.
[[nodiscard]] Result<Url> resolve_url(const Url& base, const std::string& reference);

// Whether a redirect may be followed: to https always; to http only from http, and to the same host, or from
// loopback to loopback. So nobody is moved from an encrypted connection to one that can be read and changed.
[[nodiscard]] Status check_redirect(const Url& from, const Url& to);

}  // namespace folio::hub
