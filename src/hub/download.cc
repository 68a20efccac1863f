#include "hub/download.h"

#include <algorithm>
#include <filesystem>

#include "hub/backoff.h"
#include "hub/digest.h"
#include "hub/fetch.h"
#include "hub/store.h"
#include "platform/locked_file.h"

namespace folio::hub {
namespace {

namespace fs = std::filesystem;
using platform::LockedFile;

constexpr std::size_t kSuccessBytes = std::size_t{1} << 16;  // come that many, an attempt was no failure
constexpr std::size_t kSpareBytes = std::size_t{1} << 30;    // of a disk, where nobody says what will come
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// nullopt: nothing is there. Errors: something that is no file.
Result<std::optional<std::size_t>> bytes_at(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return std::optional<std::size_t>();
  if (status.type() != fs::file_type::regular)
    return fail(ErrorKind::kInvalid, "{}: is not a regular file; remove it", path);
  const auto bytes = static_cast<std::size_t>(fs::file_size(path, error));
  if (error) return fail(ErrorKind::kIo, "{}: cannot be read: {}", path, error.message());
  return std::optional(bytes);
}

// One file on its way to its place; holds the lock.
class Download {
 public:
  Download(HttpClient& client, const PullRequest& request, HubFile file, std::string url, std::string path,
           LockedFile part)
      : client_(client),
        request_(request),
        url_(std::move(url)),
        path_(std::move(path)),
        file_(std::move(file)),
        part_(std::move(part)) {}

  // All of the bytes.
  Status fetch() {
    Backoff backoff;
    const bool hash_known = !expected_hash().empty();
    // Of another file perhaps, and nobody could tell.
    if (!hash_known || (file_.bytes > 0 && part_.bytes() > file_.bytes)) FOLIO_TRY_STATUS(part_.clear());
    while (file_.bytes == 0 || part_.bytes() != file_.bytes) {
      const std::size_t before = part_.bytes();
      const Fetched response = attempt();
      const bool is_body = response && (response->status == 200 || response->status == 206);
      if (is_body && (file_.bytes == 0 || part_.bytes() == file_.bytes)) return {};
      if (response && response->status == 416) FOLIO_TRY_STATUS(part_.clear());  // it is of another file
      // A body that is complete and too short is no cut: it would come again and again.
      if (!is_body && part_.bytes() >= before + kSuccessBytes) backoff.succeed();
      const std::string come = fmt::format("{} of {} bytes are there", part_.bytes(), file_.bytes);
      const Error error = is_body ? Error{ErrorKind::kIo, fmt::format("{}: {}", file_.path, come)}
                                  : describe(response, file_.path);
      const bool again = is_body || (response && response->status == 416);
      const auto retry = again ? std::chrono::seconds(0) : retry_after(response, Unreachable::kMayPass);
      if (pause_before(retry, backoff, request_, fmt::format("{} ({})", error.message, come))) continue;
      if (part_.bytes() == 0 || !retry) return std::unexpected(error);
      return fail(error.kind, "{}; what is there is kept: pull again to go on", error.message);
    }
    return {};
  }

  // Checked and named, or removed.
  Result<std::size_t> keep() {
    const std::string& expected = expected_hash();
    if (!expected.empty()) {
      FOLIO_TRY(actual, digest_of_part());
      if (actual != expected) {
        part_.remove();
        return fail(ErrorKind::kInvalid,
                    "{}: its hash is {} instead of {}; it was removed: pull again, or from elsewhere",
                    file_.path, actual, expected);
      }
    } else if (request_.on_note) {
      request_.on_note(
          file_.bytes == 0
              ? fmt::format("{}: the server states neither length nor hash; nothing was checked", file_.path)
              : fmt::format("{}: the server states no hash; only the length was checked", file_.path));
    }
    FOLIO_TRY_STATUS(part_.rename_to(path_));
    return part_.bytes();
  }

  void remove() { part_.remove(); }
  void remove_if_empty() {
    if (part_.bytes() == 0) part_.remove();
  }

 private:
  const std::string& expected_hash() const { return file_.sha256.empty() ? file_.git_blob : file_.sha256; }

  Fetched attempt() {
    return client_.get({.url = url_, .token = token_for(request_, url_), .offset = part_.bytes()},
                       {.on_head = [this](const GetResponse& head) { return begin(head); },
                        .on_body = [this](std::string_view piece) { return take(piece); }});
  }

  Status begin(const GetResponse& head) {
    if (expected_hash().empty()) file_.sha256 = head.sha256;
    const std::size_t stated = head.whole_bytes.value_or(file_.bytes);
    if (file_.bytes == 0) file_.bytes = stated;
    if (stated != file_.bytes)
      return fail(ErrorKind::kIo, "{}: has {} bytes now and had {} before; pull again", file_.path, stated,
                  file_.bytes);
    if (head.status == 200) FOLIO_TRY_STATUS(part_.clear());  // all of it, though a part was asked for
    // Without a hash to show it at the end, another version must be noticed here.
    if (head.status == 206 && expected_hash().empty() && head.tag != tag_)
      return fail(ErrorKind::kIo, "{}: changed on the server; pull again", file_.path);
    tag_ = head.tag;
    if (head.status == 206 && head.begin != part_.bytes())
      return fail(ErrorKind::kIo, "{}: the server goes on at byte {}, not at {}; pull again", file_.path,
                  head.begin, part_.bytes());
    return check_room();
  }

  Status take(std::string_view piece) {
    if (part_.bytes() + piece.size() > most_bytes_) {
      FOLIO_TRY_STATUS(part_.clear());
      return fail(ErrorKind::kTooLarge, "{}: the server sends more than {} bytes, {}", file_.path,
                  most_bytes_,
                  file_.bytes > 0 ? "the length that it stated" : "all that the disk has room for");
    }
    if (const Status written = part_.append(piece); !written)
      return fail(written.error().kind, "{}; what is there is kept", written.error().message);
    if (request_.on_progress) request_.on_progress(file_.path, part_.bytes(), file_.bytes);
    return {};
  }

  Status check_room() {
    std::error_code error;
    const fs::path folder = fs::path(path_).parent_path();
    const auto space = fs::space(folder, error);
    const std::size_t available = error ? SIZE_MAX : space.available;
    most_bytes_ = file_.bytes > 0 ? file_.bytes : available - std::min(available, kSpareBytes);
    if (file_.bytes == 0 || file_.bytes - part_.bytes() <= available) return {};
    return fail(ErrorKind::kTooLarge, "{}: needs {} MB more, and the disk of {} has {} MB left", file_.path,
                (file_.bytes - part_.bytes()) >> 20, folder.string(), available >> 20);
  }

  Result<std::string> digest_of_part() const {
    Digest digest(file_.sha256.empty() ? Digest::Kind::kGitBlob : Digest::Kind::kSha256, part_.bytes());
    std::string room(kPieceBytes, '\0');
    for (std::size_t at = 0; at < part_.bytes();) {
      FOLIO_TRY(piece, part_.read(at, room));
      if (piece.empty()) break;  // shorter than it was: the hash will say so
      digest.add(piece);
      at += piece.size();
    }
    return digest.hex();
  }

  HttpClient& client_;
  const PullRequest& request_;
  std::string url_, path_, tag_;
  HubFile file_;
  LockedFile part_;
  std::size_t most_bytes_ = 0;
};

// The part, locked; waits for a process that has it, and says so.
Result<LockedFile> lock_part(const PullRequest& request, const std::string& path, const std::string& name) {
  const std::string part = path + std::string(kPartSuffix);
  FOLIO_TRY(file, LockedFile::open(part, LockedFile::IfLocked::kGiveUp));
  if (file) return std::move(*file);
  if (request.on_note)
    request.on_note(fmt::format("{}: another process is downloading it; waiting for that", name));
  FOLIO_TRY(waited_for, LockedFile::open(part, LockedFile::IfLocked::kWait));
  return std::move(*waited_for);
}

}  // namespace

Result<std::size_t> download(HttpClient& client, const PullRequest& request, HubFile file,
                             const std::string& url, const std::string& path) {
  const auto is_whole = [&](std::optional<std::size_t> bytes) {
    return bytes && (file.bytes == 0 || *bytes == file.bytes);
  };
  FOLIO_TRY(there, bytes_at(path));
  if (is_whole(there)) return *there;
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    return fail(ErrorKind::kIo, "{}: the folder cannot be made: {}", folder.string(), error.message());
  FOLIO_TRY(part, lock_part(request, path, file.path));
  FOLIO_TRY(by_now, bytes_at(path));
  Download download(client, request, file, url, path, std::move(part));
  if (is_whole(by_now)) {  // who had the lock has brought it
    download.remove();
    return *by_now;
  }
  if (const Status fetched = download.fetch(); !fetched) {
    download.remove_if_empty();
    return pass(fetched);
  }
  return download.keep();
}

}  // namespace folio::hub
