// Answers compressed by gzip, for clients that take it. The only user of zlib here.
#pragma once

#include <cstddef>
#include <string_view>

#include "server/http.h"

namespace folio::server {

// Shorter bodies gain nothing; longer ones would hold up the I/O thread, on which this runs, by more than a
// few tens of milliseconds.
inline constexpr std::size_t kLeastToCompress = 4096;
inline constexpr std::size_t kMostToCompress = std::size_t{4} << 20;

enum class Coding { kPlain, kGzip };

// What the header Accept-Encoding of a request allows (RFC 9110, 12.5.3); null: it has none.
[[nodiscard]] Coding coding_of(const std::string* accept_encoding);

// Compresses the body where `coding` and its length ask for it, and says so in the headers. Cost: some 10 ms
// a megabyte.
void compress(HttpResponse& response, Coding coding);

}  // namespace folio::server
