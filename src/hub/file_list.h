// The list of a repository's files, as the hub's API gives it: JSON, in pages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/http_client.h"
#include "hub/pull.h"

namespace folio::hub {

inline constexpr std::size_t kMaxPageBytes = std::size_t{16} << 20;
inline constexpr int kMaxPages = 100;
inline constexpr std::size_t kMaxFiles = 100'000;

// One page. Entries that are no files, or whose paths are not safe, are left out. Errors: kIo for what is no
// JSON list, kInvalid for a hash that is none.
[[nodiscard]] Result<std::vector<HubFile>> parse_file_list(std::string_view json);

// All pages; the same path twice counts once. Errors: as pull().
[[nodiscard]] Result<std::vector<HubFile>> list_files(HttpClient& client, const PullRequest& request);

}  // namespace folio::hub
