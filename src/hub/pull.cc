#include "hub/pull.h"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "hub/digest.h"
#include "hub/http_get.h"
#include "hub/store.h"

namespace folio::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxListBytes = std::size_t{16} << 20;
constexpr int kAttempts = 5;  // in a row without a byte

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

Error status_error(const GetResponse& response, const std::string& what) {
  switch (response.status) {
    case 401:
    case 403:
      return {
          ErrorKind::kInvalid,
          fmt::format("{}: the hub refuses it ({}); set HF_TOKEN, and accept the model's licence on its page",
                      what, response.status)};
    case 404:
      return {ErrorKind::kNotFound, fmt::format("{}: the hub has no such model or file", what)};
    default:
      return {ErrorKind::kIo, fmt::format("{}: the hub answers {}", what, response.status)};
  }
}

// A small text, whole.
Result<std::string> get_text(const std::string& url, const std::string& token, const std::string& what) {
  std::string text;
  const auto on_head = [&](const GetResponse& head) -> Status {
    if (head.status != 200) return std::unexpected(status_error(head, what));
    return {};
  };
  const auto on_body = [&](std::string_view piece) -> Status {
    if (text.size() + piece.size() > kMaxListBytes)
      return fail(ErrorKind::kTooLarge, "{}: the hub's answer is longer than {} bytes", what, kMaxListBytes);
    text += piece;
    return {};
  };
  FOLIO_TRY(response, http_get({.url = url, .token = token}, {on_head, on_body}));
  return text;
}

Result<std::vector<HubFile>> list_files(const PullRequest& request) {
  const std::string& repository = request.reference.repository;
  FOLIO_TRY(text,
            get_text(fmt::format("{}/api/models/{}/tree/main?recursive=true", request.endpoint, repository),
                     request.token, repository));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array())
    return fail(ErrorKind::kIo, "{}: the hub's list of files is no JSON list", repository);
  std::vector<HubFile> files;
  const auto field = [](const nlohmann::json& entry, const char* name) -> std::string {
    const auto found = entry.find(name);
    return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
  };
  for (const auto& entry : json) {
    if (!entry.is_object() || field(entry, "type") != "file") continue;
    HubFile file{.path = field(entry, "path"), .sha256 = {}, .git_blob = field(entry, "oid")};
    if (const auto size = entry.find("size"); size != entry.end() && size->is_number_unsigned())
      file.bytes = *size;
    if (const auto lfs = entry.find("lfs"); lfs != entry.end() && lfs->is_object())
      file.sha256 = field(*lfs, "oid");
    if (is_safe_path(file.path)) files.push_back(std::move(file));
  }
  return files;
}

// One file on its way to its place.
class Download {
 public:
  Download(const PullRequest& request, std::string url, HubFile file, std::string path)
      : request_(request),
        url_(std::move(url)),
        file_(std::move(file)),
        path_(std::move(path)),
        part_(path_ + std::string(kPartSuffix)) {}

  Status run() {
    std::error_code error;
    fs::create_directories(fs::path(path_).parent_path(), error);
    if (error)
      return fail(ErrorKind::kIo, "{}: cannot be made: {}", fs::path(path_).parent_path().string(),
                  error.message());
    for (int failures = 0;;) {
      const std::size_t before = part_bytes();
      const auto response = attempt();
      if (response && (file_.bytes == 0 || part_bytes() == file_.bytes)) return keep();
      if (!response && response.error().kind != ErrorKind::kIo) return pass(response);
      if (disk_failed_) return pass(response);
      failures = part_bytes() > before ? 1 : failures + 1;
      if (failures >= kAttempts) {
        if (!response)
          return fail(ErrorKind::kIo, "{}; what is there is kept: pull again to go on",
                      response.error().message);
        return fail(ErrorKind::kIo, "{}: {} of {} bytes came; pull again to go on", file_.path, part_bytes(),
                    file_.bytes);
      }
      if (request_.on_note)
        request_.on_note(
            fmt::format("{}: cut after {} of {} bytes; going on", file_.path, part_bytes(), file_.bytes));
    }
  }

 private:
  void discard() const {
    std::error_code ignored;
    fs::remove(part_, ignored);
  }

  std::size_t part_bytes() const {
    std::error_code error;
    const auto bytes = fs::file_size(part_, error);
    return error ? 0 : static_cast<std::size_t>(bytes);
  }

  Result<GetResponse> attempt() {
    if (file_.bytes > 0 && part_bytes() > file_.bytes) discard();
    if (file_.bytes > 0 && part_bytes() == file_.bytes)
      return GetResponse{.status = 200, .whole_bytes = {}, .sha256 = {}};
    File file;
    std::size_t done = 0;
    const auto on_head = [&](const GetResponse& head) -> Status {
      if (head.status == 416) discard();  // what is there is of another file
      if (head.status != 200 && head.status != 206) return std::unexpected(status_error(head, file_.path));
      if (file_.sha256.empty() && file_.git_blob.empty()) file_.sha256 = head.sha256;
      if (file_.bytes == 0) file_.bytes = head.whole_bytes.value_or(0);
      done = head.status == 206 ? head.begin : 0;
      if (done != 0 && done != part_bytes())
        return fail(ErrorKind::kIo, "{}: the hub goes on at byte {}, not at {}", file_.path, done,
                    part_bytes());
      FOLIO_TRY_STATUS(check_room(file_.bytes > done ? file_.bytes - done : 0));
      file.reset(std::fopen(part_.c_str(), done == 0 ? "wb" : "ab"));
      return file ? Status() : disk_error();
    };
    const auto on_body = [&](std::string_view piece) -> Status {
      if (std::fwrite(piece.data(), 1, piece.size(), file.get()) != piece.size()) return disk_error();
      done += piece.size();
      if (request_.on_progress) request_.on_progress(file_.path, done, file_.bytes);
      return {};
    };
    auto response =
        http_get({.url = url_, .token = request_.token, .offset = part_bytes()}, {on_head, on_body});
    if (file && std::fflush(file.get()) != 0) return pass(disk_error());
    return response;
  }

  Status check_room(std::size_t bytes) {
    std::error_code error;
    const auto space = fs::space(fs::path(part_).parent_path(), error);
    if (error || space.available >= bytes) return {};
    return fail(ErrorKind::kTooLarge, "{}: {} MB are missing on the disk of {}, which has {} MB left",
                file_.path, bytes >> 20, fs::path(part_).parent_path().string(), space.available >> 20);
  }

  Status disk_error() {
    disk_failed_ = true;
    return fail(ErrorKind::kIo, "{}: cannot be written: {}; what is there is kept", part_,
                std::strerror(errno));
  }

  Result<std::string> digest_of_part(Digest::Kind kind) const {
    Digest digest(kind, file_.bytes);
    const File file(std::fopen(part_.c_str(), "rb"));
    if (!file) return fail(ErrorKind::kIo, "{}: cannot be read: {}", part_, std::strerror(errno));
    std::string piece(std::size_t{1} << 20, '\0');
    for (std::size_t got = piece.size(); got == piece.size();) {
      got = std::fread(piece.data(), 1, piece.size(), file.get());
      digest.add(std::string_view(piece.data(), got));
    }
    return digest.hex();
  }

  // All of it is there: checked and named, or removed.
  Status keep() {
    const bool large = !file_.sha256.empty();
    const std::string& expected = large ? file_.sha256 : file_.git_blob;
    if (!expected.empty()) {
      FOLIO_TRY(actual, digest_of_part(large ? Digest::Kind::kSha256 : Digest::Kind::kGitBlob));
      if (actual != expected) {
        discard();
        return fail(ErrorKind::kInvalid,
                    "{}: its hash is {} instead of {}; it was removed: pull again, or from elsewhere",
                    file_.path, actual, expected);
      }
    } else if (request_.on_note) {
      request_.on_note(fmt::format("{}: nobody says its hash, so only its length was checked", file_.path));
    }
    std::error_code error;
    fs::rename(part_, path_, error);
    if (error) return fail(ErrorKind::kIo, "{}: cannot be named: {}", path_, error.message());
    return {};
  }

  const PullRequest& request_;
  std::string url_;
  HubFile file_;
  std::string path_, part_;
  bool disk_failed_ = false;
};

std::string escaped(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::strchr("-._~/", c) != nullptr;
    text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

}  // namespace

Result<Pulled> pull(const PullRequest& request) {
  const Reference& reference = request.reference;
  Pulled pulled;
  if (reference.repository.empty()) {
    pulled.path = (fs::path(request.folder) / reference.file).string();
    std::error_code error;
    if (!fs::exists(pulled.path, error))
      FOLIO_TRY_STATUS(Download(request, reference.url,
                                {.path = reference.file, .sha256 = {}, .git_blob = {}}, pulled.path)
                           .run());
    pulled.files = 1;
    pulled.bytes = static_cast<std::size_t>(fs::file_size(pulled.path, error));
    return pulled;
  }
  FOLIO_TRY(files, list_files(request));
  auto chosen = choose_files(files, reference.file);
  if (!chosen) return fail(chosen.error().kind, "{}: {}", reference.repository, chosen.error().message);
  const fs::path folder = fs::path(request.folder) / reference.repository;
  for (const HubFile& file : *chosen) {
    const std::string path = (folder / file.path).string();
    std::error_code error;
    if (!fs::exists(path, error) || fs::file_size(path, error) != file.bytes)
      FOLIO_TRY_STATUS(Download(request,
                                fmt::format("{}/{}/resolve/main/{}", request.endpoint, reference.repository,
                                            escaped(file.path)),
                                file, path)
                           .run());
    pulled.bytes += file.bytes;
    ++pulled.files;
  }
  const bool gguf = chosen->front().path.ends_with(".gguf");
  pulled.path = gguf ? (folder / chosen->front().path).string() : folder.string();
  return pulled;
}

}  // namespace folio::hub
