// download(): one file of the hub or of a URL to its place in the store.
#pragma once

#include <string>

#include "base/result.h"
#include "hub/http_client.h"
#include "hub/pull.h"

namespace folio::hub {

// Brings `url` to `path`, through a file of that name and kPartSuffix which one process at a time writes; it
// stays where an attempt fails, so that the next goes on. A file with the stated length that is there is left
// as it is. Returns its bytes. Errors: as pull(); kInvalid for something at `path` that is no regular file.
[[nodiscard]] Result<std::size_t> download(HttpClient& client, const PullRequest& request, HubFile file,
                                           const std::string& url, const std::string& path);

}  // namespace folio::hub
