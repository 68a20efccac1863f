#include "hub/pull.h"

#include <cstring>
#include <filesystem>

#include "hub/download.h"
#include "hub/file_list.h"
#include "hub/http_client.h"
#include "hub/shard_index.h"
#include "platform/file.h"

namespace folio::hub {
namespace {

namespace fs = std::filesystem;

std::string escaped(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::strchr("-._~/", c) != nullptr;
    text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

// The file of a URL lies at the top of the store.
Result<Pulled> pull_url(HttpClient& client, const PullRequest& request) {
  const Reference& reference = request.reference;
  Pulled pulled{.path = (fs::path(request.folder) / reference.file).string(), .files = 1};
  std::error_code ignored;
  if (fs::exists(pulled.path, ignored) && request.on_note)
    request.on_note(fmt::format("{}: is there already; to download it again, remove it first: folio rm {}",
                                pulled.path, reference.file));
  FOLIO_TRY(bytes, download(client, request, {.path = reference.file, .sha256 = {}, .git_blob = {}},
                            reference.url, pulled.path));
  pulled.bytes = bytes;
  return pulled;
}

}  // namespace

Result<Pulled> pull(const PullRequest& request) {
  const std::string& repository = request.reference.repository;
  HttpClient client;
  if (repository.empty()) return pull_url(client, request);
  FOLIO_TRY(files, list_files(client, request));
  auto chosen = choose_files(files, request.reference.file);
  if (!chosen) return fail(chosen.error().kind, "{}: {}", repository, chosen.error().message);
  const fs::path folder = fs::path(request.folder) / repository;
  Pulled pulled;
  for (std::size_t i = 0; i < chosen->size(); ++i) {
    const HubFile file = (*chosen)[i];
    const std::string path = (folder / file.path).string();
    const std::string url =
        fmt::format("{}/{}/resolve/main/{}", request.endpoint, repository, escaped(file.path));
    FOLIO_TRY(bytes, download(client, request, file, url, path));
    pulled.bytes += bytes;
    ++pulled.files;
    if (file.path != kShardIndex) continue;
    FOLIO_TRY(index, platform::read_regular_file(path, kMaxIndexBytes));
    if (auto kept = keep_indexed(index, *chosen); !kept)
      return fail(kept.error().kind, "{}: {}", repository, kept.error().message);
  }
  const std::string& first = chosen->front().path;
  pulled.path = first.ends_with(".gguf") ? (folder / first).string() : folder.string();
  return pulled;
}

}  // namespace folio::hub
