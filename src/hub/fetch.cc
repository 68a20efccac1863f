#include "hub/fetch.h"

#include "hub/url.h"
#include "platform/pause.h"

namespace folio::hub {

std::string token_for(const PullRequest& request, const std::string& url) {
  const auto endpoint = parse_url(request.endpoint), asked = parse_url(url);
  return endpoint && asked && asked->has_origin_of(*endpoint) ? request.token : "";
}

Error describe(const Fetched& fetched, const std::string& what) {
  if (!fetched) {
    const auto& [error, cause] = fetched.error();
    if (cause == GetFailure::Cause::kFinal) return error;
    return {error.kind, fmt::format("{}: {}", what, error.message)};
  }
  switch (fetched->status) {
    case 401:
    case 403:
      return {ErrorKind::kInvalid,
              fmt::format("{}: the hub refuses access ({}); set HF_TOKEN, and accept the model's licence on "
                          "its page",
                          what, fetched->status)};
    case 404:
      return {ErrorKind::kNotFound, fmt::format("{}: the hub has no such model or file", what)};
    case 429:
      return {ErrorKind::kIo,
              fmt::format("{}: the hub answers 429, too many requests; wait, or set HF_TOKEN", what)};
    default:
      return {ErrorKind::kIo, fmt::format("{}: the hub answers {}", what, fetched->status)};
  }
}

std::optional<std::chrono::seconds> retry_after(const Fetched& fetched, Unreachable unreachable) {
  using Cause = GetFailure::Cause;
  if (!fetched) {
    const Cause cause = fetched.error().cause;
    const bool passes =
        cause == Cause::kCut || (cause == Cause::kUnreachable && unreachable == Unreachable::kMayPass);
    return passes ? std::optional(std::chrono::seconds(0)) : std::nullopt;
  }
  switch (fetched->status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return fetched->retry_after;
    default:
      return std::nullopt;
  }
}

bool pause_before(std::optional<std::chrono::seconds> retry, Backoff& backoff, const PullRequest& request,
                  const std::string& why) {
  const auto wait = retry ? backoff.next(*retry) : std::nullopt;
  if (!wait) return false;
  if (request.on_note)
    request.on_note(fmt::format("{}; going on in {:.1f} s", why, static_cast<double>(wait->count()) / 1000));
  platform::pause(*wait);
  return true;
}

}  // namespace folio::hub
