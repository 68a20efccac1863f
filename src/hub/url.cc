#include "hub/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

namespace folio::hub {
namespace {

struct Cleanup {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Handle = std::unique_ptr<CURLU, Cleanup>;

constexpr std::size_t kMaxUrlBytes = 8192;

// Empty where the URL has no such part.
std::string part(const Handle& handle, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle.get(), what, &text, flags) != CURLUE_OK) return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

std::unexpected<Error> bad_url(std::string_view text) {
  // What cannot be printed is left out, and so is what may be a password.
  std::string shown;
  for (const char c : text.substr(0, 200)) shown += c > 0x20 && c < 0x7f ? c : '?';
  if (const std::size_t at = shown.rfind('@'); at != std::string::npos) shown = "..." + shown.substr(at);
  return fail(ErrorKind::kInvalid, "'{}' is no URL that folio takes: http(s)://HOST/PATH", shown);
}

Result<Url> parse(Handle handle, const std::string& text, unsigned flags) {
  if (text.size() > kMaxUrlBytes ||
      curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), flags | CURLU_DISALLOW_USER) != CURLUE_OK)
    return bad_url(text);
  const std::string scheme = part(handle, CURLUPART_SCHEME);
  curl_url_set(handle.get(), CURLUPART_FRAGMENT, nullptr, 0);
  Url url{.text = part(handle, CURLUPART_URL),
          .host = part(handle, CURLUPART_HOST),
          .port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT),
          .tls = scheme == "https"};
  std::ranges::transform(url.host, url.host.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const bool plain = std::ranges::all_of(url.text, [](char c) { return c > 0x20 && c < 0x7f; });
  if ((scheme != "http" && scheme != "https") || url.host.empty() || !plain) return bad_url(text);
  return url;
}

}  // namespace

bool Url::is_loopback() const {
  return host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") &&
          std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); }));
}

Result<Url> parse_url(const std::string& text) { return parse(Handle(curl_url()), text, 0); }

Result<Url> resolve_url(const Url& base, const std::string& reference) {
  Handle handle(curl_url());
  if (curl_url_set(handle.get(), CURLUPART_URL, base.text.c_str(), 0) != CURLUE_OK) return bad_url(base.text);
  return parse(std::move(handle), reference, CURLU_URLENCODE);
}

Status check_redirect(const Url& from, const Url& to) {
  if (to.tls) return {};
  if (from.tls)
    return fail(ErrorKind::kIo, "{} redirects from https to http; that is not followed", from.host);
  if (from.host == to.host || (from.is_loopback() && to.is_loopback())) return {};
  return fail(ErrorKind::kIo, "{} redirects to {} without https; that is not followed", from.host, to.host);
}

}  // namespace folio::hub
