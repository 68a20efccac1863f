// What the list of files and the files themselves share: who gets the token, what is tried again.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>

#include "base/result.h"
#include "hub/backoff.h"
#include "hub/http_client.h"
#include "hub/pull.h"

namespace folio::hub {

using Fetched = std::expected<GetResponse, GetFailure>;

// The token where `url` is the endpoint's, else none.
[[nodiscard]] std::string token_for(const PullRequest& request, const std::string& url);

// What went wrong with `what`. Requires: a failure, or a status other than 200 and 206.
[[nodiscard]] Error describe(const Fetched& fetched, const std::string& what);

enum class Unreachable { kIsFinal, kMayPass };
// Whether trying again may help (a cut, a hub that is busy), and the time that the server asks to wait.
[[nodiscard]] std::optional<std::chrono::seconds> retry_after(const Fetched& fetched,
                                                              Unreachable unreachable);

// Waits before another attempt and notes why; false: there is to be none.
[[nodiscard]] bool pause_before(std::optional<std::chrono::seconds> retry, Backoff& backoff,
                                const PullRequest& request, const std::string& why);

}  // namespace folio::hub
