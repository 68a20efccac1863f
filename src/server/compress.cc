#include "server/compress.h"

#include <zlib.h>

#include <cstdlib>
#include <string>

namespace folio::server {
namespace {

constexpr int kFastest = 1, kGzipWindow = 15 + 16, kMemory = 8;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "q=0", "q=0.000": not at all.
bool is_excluded(std::string_view parameters) {
  const std::size_t at = parameters.find("q=");
  return at != std::string_view::npos &&
         std::strtod(std::string(parameters.substr(at + 2)).c_str(), nullptr) == 0;
}

// Empty: it failed, or is no shorter.
std::string gzip(const std::string& body) {
  z_stream stream{};
  if (deflateInit2(&stream, kFastest, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) != Z_OK)
    return {};
  std::string made(body.size(), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));  // zlib only reads it
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(made.data());
  stream.avail_out = static_cast<uInt>(made.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  made.resize(done ? stream.total_out : 0);
  deflateEnd(&stream);
  return made;
}

}  // namespace

Coding coding_of(const std::string* accept_encoding) {
  if (accept_encoding == nullptr) return Coding::kPlain;
  Coding any = Coding::kPlain;
  for (std::string_view rest = *accept_encoding; !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view item = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t name_end = std::min(item.find(';'), item.size());
    const Coding allowed = is_excluded(item.substr(name_end)) ? Coding::kPlain : Coding::kGzip;
    const std::string_view name = trimmed(item.substr(0, name_end));
    if (equal_ignoring_case(name, "gzip") || equal_ignoring_case(name, "x-gzip")) return allowed;
    if (name == "*") any = allowed;
  }
  return any;
}

void compress(HttpResponse& response, Coding coding) {
  if (response.body.size() < kLeastToCompress || response.body.size() > kMostToCompress) return;
  response.headers.push_back({"Vary", "Accept-Encoding"});
  if (coding == Coding::kPlain) return;
  std::string made = gzip(response.body);
  if (made.empty()) return;
  response.body = std::move(made);
  response.headers.push_back({"Content-Encoding", "gzip"});
}

}  // namespace folio::server
