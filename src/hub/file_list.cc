#include "hub/file_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "hub/backoff.h"
#include "hub/fetch.h"

namespace folio::hub {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& entry, const char* name) {
  const auto found = entry.find(name);
  return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
}

// Empty if `text` is not so many hexadecimal digits.
std::string digits(std::string text, std::size_t count) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == count && std::ranges::all_of(text, is_digit) ? text : "";
}

Result<HubFile> read_entry(const Json& entry) {
  HubFile file{.path = text_of(entry, "path"), .sha256 = {}, .git_blob = {}};
  if (const auto size = entry.find("size"); size != entry.end() && size->is_number_unsigned())
    file.bytes = *size;
  // The hash of the entry itself is that of a pointer where the file is large.
  const auto large = entry.find("lfs");
  const bool is_large = large != entry.end() && large->is_object();
  const std::string stated = text_of(is_large ? *large : entry, "oid");
  std::string& hash = is_large ? file.sha256 : file.git_blob;
  hash = digits(stated, is_large ? 64 : 40);
  if (hash.empty() && !stated.empty())
    return fail(ErrorKind::kInvalid, "{}: the hub states a hash that is none", file.path);
  return file;
}

// A page as text; `next` is set to the page after it.
Result<std::string> get_page(HttpClient& client, const PullRequest& request, const std::string& url,
                             std::string& next) {
  const std::string& repository = request.reference.repository;
  std::string text;
  const GetCallbacks callbacks{.on_head = [](const GetResponse&) { return Status(); },
                               .on_body = [&](std::string_view piece) -> Status {
                                 if (text.size() + piece.size() > kMaxPageBytes)
                                   return fail(ErrorKind::kTooLarge,
                                               "{}: the hub's list of files is longer than {} bytes",
                                               repository, kMaxPageBytes);
                                 text += piece;
                                 return {};
                               }};
  Backoff backoff;
  for (;;) {
    text.clear();
    const auto response = client.get({.url = url, .token = token_for(request, url)}, callbacks);
    if (response && response->status == 200) {
      next = response->next_page;
      return text;
    }
    // A hub that is not reached at all is said at once; what was begun is tried again.
    const Error error = describe(response, repository);
    if (!pause_before(retry_after(response, Unreachable::kIsFinal), backoff, request, error.message))
      return std::unexpected(error);
  }
}

}  // namespace

Result<std::vector<HubFile>> parse_file_list(std::string_view json) {
  // What lies deeper than an entry's own objects is of no use here, and may be made to cost.
  const auto shallow = [](int depth, Json::parse_event_t, const Json&) { return depth <= 3; };
  const auto list = Json::parse(json, shallow, false);
  if (!list.is_array()) return fail(ErrorKind::kIo, "the hub's list of files is no JSON list");
  std::vector<HubFile> files;
  for (const Json& entry : list) {
    if (!entry.is_object() || text_of(entry, "type") != "file" || !is_safe_path(text_of(entry, "path")))
      continue;
    FOLIO_TRY(file, read_entry(entry));
    files.push_back(std::move(file));
  }
  return files;
}

Result<std::vector<HubFile>> list_files(HttpClient& client, const PullRequest& request) {
  const std::string& repository = request.reference.repository;
  std::vector<HubFile> files;
  std::set<std::string, std::less<>> paths;
  std::string url = fmt::format("{}/api/models/{}/tree/main?recursive=true", request.endpoint, repository);
  for (int page = 0; !url.empty(); ++page) {
    if (page >= kMaxPages || files.size() > kMaxFiles)
      return fail(ErrorKind::kTooLarge, "{}: the hub's list of files has more than {} pages or {} files",
                  repository, kMaxPages, kMaxFiles);
    std::string next;
    FOLIO_TRY(text, get_page(client, request, url, next));
    auto listed = parse_file_list(text);
    if (!listed) return fail(listed.error().kind, "{}: {}", repository, listed.error().message);
    for (HubFile& file : *listed)
      if (paths.insert(file.path).second) files.push_back(std::move(file));
    url = std::move(next);
  }
  return files;
}

}  // namespace folio::hub
