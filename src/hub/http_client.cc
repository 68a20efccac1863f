#include "hub/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "hub/url.h"

namespace folio::hub {
namespace {

using Cause = GetFailure::Cause;

constexpr long kPieceBytes = 1 << 17;
constexpr std::size_t kMaxIgnoredBytes = 1u << 16;  // of a body that nobody wants

std::unexpected<GetFailure> failed(Error error, Cause cause = Cause::kFinal) {
  return std::unexpected(GetFailure{.error = std::move(error), .cause = cause});
}

std::unexpected<GetFailure> failed(std::unexpected<Error> error) { return failed(std::move(error.error())); }

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

// The header of the last answer; empty: it has none.
std::string header(CURL* curl, const char* name) {
  curl_header* found = nullptr;
  return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value : "";
}

std::optional<std::size_t> number_at(std::string_view text, std::size_t from) {
  std::size_t value = 0;
  if (from >= text.size() ||
      std::from_chars(text.data() + from, text.data() + text.size(), value).ec != std::errc())
    return {};
  return value;
}

// A header that holds 64 hexadecimal digits, perhaps in quotes: the hub's way to say a file's SHA-256.
std::string sha256_in(std::string text) {
  std::erase(text, '"');
  const bool is_hex = text.size() == 64 && std::ranges::all_of(text, [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                      });
  return is_hex ? text : "";
}

// `<URL>; rel="next", <...>; rel="last"` -> URL
std::string next_in(std::string_view links) {
  while (!links.empty()) {
    const std::size_t open = links.find('<'), close = links.find('>', open);
    if (close == std::string_view::npos) return {};
    const std::size_t end = std::min(links.find(",", close), links.size());
    const std::string_view parameters = links.substr(close, end - close);
    if (parameters.find("rel=\"next\"") != std::string_view::npos ||
        parameters.find("rel=next") != std::string_view::npos)
      return std::string(links.substr(open + 1, close - open - 1));
    links.remove_prefix(end);
  }
  return {};
}

// What the headers say, the redirect apart.
GetResponse read_head(CURL* curl) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  GetResponse response{.status = static_cast<int>(status),
                       .whole_bytes = {},
                       .sha256 = {},
                       .tag = header(curl, "ETag"),
                       .next_page = next_in(header(curl, "Link"))};
  if (status == 206) {  // "bytes 5-9/10" -> 5, 10
    const std::string range = header(curl, "Content-Range");
    response.begin = number_at(range, range.starts_with("bytes ") ? 6 : range.size()).value_or(0);
    if (const std::size_t slash = range.find('/'); slash != std::string::npos)
      response.whole_bytes = number_at(range, slash + 1);
  } else {
    curl_off_t bytes = -1;
    curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &bytes);
    if (bytes >= 0) response.whole_bytes = static_cast<std::size_t>(bytes);
  }
  response.retry_after = std::chrono::seconds(
      std::min<std::size_t>(number_at(header(curl, "Retry-After"), 0).value_or(0), 3600));
  for (const char* name : {"X-Linked-Etag", "ETag"})
    if (response.sha256.empty()) response.sha256 = sha256_in(header(curl, name));
  return response;
}

// One answer on its way from libcurl to the callbacks.
class Answer {
 public:
  Answer(CURL* curl, const GetCallbacks& callbacks, std::string sha256)
      : curl_(curl), callbacks_(callbacks), sha256_(std::move(sha256)) {}

  // As libcurl calls them; another count than it gave ends the transfer.
  static std::size_t on_header(const char*, std::size_t, std::size_t bytes, void* self) {
    auto& answer = *static_cast<Answer*>(self);
    answer.head_bytes_ += bytes;
    if (answer.head_bytes_ <= kMaxHeadBytes) return bytes;
    answer.status_ =
        fail(ErrorKind::kTooLarge, "the server's headers are longer than {} bytes", kMaxHeadBytes);
    return 0;
  }
  static std::size_t on_body(const char* data, std::size_t, std::size_t bytes, void* self) {
    auto& answer = *static_cast<Answer*>(self);
    return answer.take({data, bytes}) ? bytes : CURL_WRITEFUNC_ERROR;
  }

  // The head is complete: with the body's first byte, or at the end where there is none.
  void begin() {
    if (response_) return;
    response_ = read_head(curl_);
    if (!sha256_.empty()) response_->sha256 = sha256_;  // the first server's word is the one that counts
    if (is_wanted()) status_ = callbacks_.on_head(*response_);
  }
  const GetResponse& response() const { return *response_; }
  // What a callback returned, or a bound that was passed.
  const Status& status() const { return status_; }
  // Broken off by us, because the rest of a refusal is of no use.
  bool is_enough() const { return ignored_bytes_ > kMaxIgnoredBytes; }

 private:
  bool is_wanted() const { return response_->status == 200 || response_->status == 206; }

  bool take(std::string_view piece) {
    begin();
    if (!status_) return false;
    if (is_wanted()) {
      status_ = callbacks_.on_body(piece);
      return status_.has_value();
    }
    ignored_bytes_ += piece.size();
    return !is_enough();
  }

  CURL* curl_;
  const GetCallbacks& callbacks_;
  std::string sha256_;
  std::optional<GetResponse> response_;
  Status status_;
  std::size_t head_bytes_ = 0, ignored_bytes_ = 0;
};

Cause cause_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
      return Cause::kUnreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CIPHER:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_OUT_OF_MEMORY:
      return Cause::kFinal;
    default:
      return Cause::kCut;
  }
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

// Everything but the URL and where the answer goes. `reason` has CURL_ERROR_SIZE bytes.
void set_options(CURL* curl, const Url& url, char* reason) {
  curl_easy_reset(curl);  // connections stay
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);  // get() does, with rules of its own
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  if (const char* file = std::getenv("SSL_CERT_FILE"); file != nullptr && *file != 0)
    curl_easy_setopt(curl, CURLOPT_CAINFO, file);
  if (url.is_loopback()) curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(curl, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE);  // the token is not the proxy's
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "folio");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(kSilence.count()));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(kSilence.count()));
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kPieceBytes);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
}

// As text for a person: a server or proxy may have had a hand in it.
std::string printable(std::string text) {
  std::ranges::replace_if(text, [](char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

}  // namespace

struct HttpClient::State {
  CURL* curl = nullptr;

  // One request and its answer; redirects are the caller's.
  std::expected<GetResponse, GetFailure> get_once(const Url& url, const GetRequest& request,
                                                  const std::string& token, Answer& answer) {
    char reason[CURL_ERROR_SIZE] = {};
    set_options(curl, url, reason);
    curl_easy_setopt(curl, CURLOPT_URL, url.text.c_str());
    List headers;
    if (!token.empty()) headers.reset(curl_slist_append(nullptr, ("Authorization: Bearer " + token).c_str()));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
    const std::string range = fmt::format("{}-", request.offset);
    if (request.offset > 0) curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Answer::on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Answer::on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    const CURLcode code = curl_easy_perform(curl);
    if (!answer.status()) return failed(answer.status().error());
    if (code == CURLE_OK || answer.is_enough()) {
      answer.begin();
      if (!answer.status()) return failed(answer.status().error());
      return answer.response();
    }
    const Cause cause = cause_of(code);
    return failed({ErrorKind::kIo, fmt::format("{} cannot be {}: {}", url.host,
                                               cause == Cause::kCut ? "read from" : "reached",
                                               printable(*reason != 0 ? reason : curl_easy_strerror(code)))},
                  cause);
  }
};

HttpClient::HttpClient() : state_(std::make_unique<State>()) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready == CURLE_OK) state_->curl = curl_easy_init();
}

HttpClient::~HttpClient() { curl_easy_cleanup(state_->curl); }

std::expected<GetResponse, GetFailure> HttpClient::get(const GetRequest& request,
                                                       const GetCallbacks& callbacks) {
  if (state_->curl == nullptr) return failed(fail(ErrorKind::kIo, "libcurl cannot be started"));
  if (!is_printable(request.token))
    return failed(
        fail(ErrorKind::kInvalid, "the token (HF_TOKEN) holds a space, a line break or a control character"));
  auto url = parse_url(request.url);
  if (!url) return failed(url.error());
  std::string token = request.token, sha256;
  for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
    Answer answer(state_->curl, callbacks, sha256);
    auto response = state_->get_once(*url, request, token, answer);
    const std::string location = header(state_->curl, "Location");
    if (!response || response->status / 100 != 3 || location.empty()) {
      if (response && !response->next_page.empty()) {
        const auto next = resolve_url(*url, response->next_page);
        if (!next) return failed(next.error());
        if (const Status followed = check_redirect(*url, *next); !followed) return failed(followed.error());
        response->next_page = next->text;
      }
      return response;
    }
    auto next = resolve_url(*url, location);
    if (!next) return failed(next.error());
    if (const Status followed = check_redirect(*url, *next); !followed) return failed(followed.error());
    if (!next->has_origin_of(*url)) token.clear();  // for good: a way back does not bring it back
    sha256 = response->sha256;
    url = std::move(next);
  }
  return failed(fail(ErrorKind::kIo, "{} redirects more than {} times", request.url, kMaxRedirects));
}

}  // namespace folio::hub
