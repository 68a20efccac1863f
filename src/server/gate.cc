#include "server/gate.h"

#include <algorithm>
#include <utility>

#include "api/json.h"

namespace folio::server {
namespace {

// The time depends on the lengths alone.
bool equal_in_constant_time(std::string_view given, std::string_view key) {
  unsigned difference = given.size() == key.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i)
    difference |= static_cast<unsigned char>(given[i]) ^
                  static_cast<unsigned char>(key[key.empty() ? 0 : i % key.size()]);
  return difference == 0 && !key.empty();
}

std::vector<std::string_view> keys_given(const HttpRequest& request) {
  constexpr std::string_view kScheme = "bearer ";
  std::vector<std::string_view> given;
  if (const std::string* header = request.find("authorization")) {
    const std::string_view text = *header;
    if (equal_ignoring_case(text.substr(0, kScheme.size()), kScheme))
      given.push_back(text.substr(kScheme.size()));
  }
  for (const std::string_view name : {"api-key", "x-api-key"})
    if (const std::string* header = request.find(name)) given.push_back(*header);
  return given;
}

bool consists_of(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

// "host:80" and "[::1]:80" without the port. Empty: what stands there is no port.
std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.find(':', host.starts_with('[') ? host.find(']') : 0);
  if (colon != std::string_view::npos && !consists_of(host.substr(colon + 1), "0123456789")) return {};
  return host.substr(0, colon);
}

// Labels of letters, digits and hyphens, a dot between two (RFC 1123, 2.1).
bool is_host_name(std::string_view host) {
  return consists_of(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") &&
         !host.starts_with('.') && !host.ends_with('.') && host.find("..") == std::string_view::npos;
}

bool is_loopback_v4(std::string_view host) {
  return host.starts_with("127.") && std::ranges::count(host, '.') == 3 &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

bool holds(const std::vector<std::string>& list, std::string_view text) {
  return std::ranges::any_of(
      list, [&](const std::string& entry) { return entry == "*" || equal_ignoring_case(entry, text); });
}

std::unexpected<api::ApiError> forbidden(std::string message) {
  return std::unexpected(
      api::ApiError{.status = 403, .message = std::move(message), .param = {}, .code = "forbidden"});
}

}  // namespace

bool names_this_machine(std::string_view host) {
  host = without_port(host);
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host == "[::1]") return true;
  return is_host_name(host) && (equal_ignoring_case(host, "localhost") ||
                                ends_with_ignoring_case(host, ".localhost") || is_loopback_v4(host));
}

std::optional<std::size_t> Gate::key_of(const HttpRequest& request) const {
  if (options_.api_keys.empty()) return 0;
  std::optional<std::size_t> found;
  for (const std::string_view given : keys_given(request))
    for (std::size_t i = 0; i < options_.api_keys.size(); ++i)
      if (equal_in_constant_time(given, options_.api_keys[i])) found = i + 1;
  return found;
}

api::Checked<void> Gate::check_page(const HttpRequest& request) const {
  if (!is_guarded()) return {};
  const bool named = request.host.empty() || names_this_machine(request.host) ||
                     holds(options_.allowed_hosts, request.host) ||
                     holds(options_.allowed_hosts, without_port(request.host));
  if (!named)
    return forbidden(
        fmt::format("The request is for the host {}, which is no name of this machine; folio serve "
                    "--allowed-hosts allows it",
                    api::shown(api::Json(request.host))));
  const std::string* origin = request.find("origin");
  if (origin == nullptr || allows_origin(*origin)) return {};
  return forbidden(fmt::format(
      "Web pages of {} may not use this server; folio serve --allowed-origins allows them, '*' those of all",
      api::shown(api::Json(*origin))));
}

bool Gate::allows_origin(const std::string& origin) const {
  if (!options_.allowed_origins.empty()) return holds(options_.allowed_origins, origin);
  if (!is_guarded()) return true;
  for (const std::string_view scheme : {"http://", "https://"})
    if (origin.starts_with(scheme) && names_this_machine(std::string_view(origin).substr(scheme.size())))
      return true;
  return false;
}

std::vector<Header> Gate::cors_headers(const HttpRequest& request) const {
  const std::string* origin = request.find("origin");
  if (origin == nullptr || !allows_origin(*origin)) return {};
  const bool all = options_.allowed_origins.empty() ? !is_guarded()
                                                    : std::ranges::count(options_.allowed_origins, "*") > 0;
  std::vector<Header> headers = {{"Access-Control-Allow-Origin", all ? "*" : *origin}};
  if (!all) headers.push_back({"Vary", "Origin"});
  headers.push_back({"Access-Control-Expose-Headers", "X-Request-Id, x-folio-ignored, x-folio-clamped"});
  if (request.method != "OPTIONS") return headers;
  headers.push_back({"Access-Control-Allow-Methods", "GET, POST, OPTIONS"});
  const std::string* wanted = request.find("access-control-request-headers");
  headers.push_back({"Access-Control-Allow-Headers", wanted == nullptr ? "*" : *wanted});
  headers.push_back({"Access-Control-Max-Age", "600"});
  return headers;
}

}  // namespace folio::server
