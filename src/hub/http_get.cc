#include "hub/http_get.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <charconv>
#include <variant>

namespace folio::hub {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;
using Tcp = asio::ip::tcp;
using Parser = http::response_parser<http::buffer_body>;

constexpr std::size_t kPieceBytes = 1u << 17;
constexpr std::size_t kMaxHeadBytes = 1u << 16;

struct Url {
  bool tls = true;
  std::string host, port, target;
};

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

Result<Url> parse_url(const std::string& text) {
  Url url{.tls = text.starts_with("https://")};
  if (!url.tls && !text.starts_with("http://"))
    return fail(ErrorKind::kInvalid, "'{}' is no http or https URL", text);
  const std::size_t start = url.tls ? 8 : 7, slash = std::min(text.find('/', start), text.size());
  const std::string authority = text.substr(start, slash - start);
  const std::size_t colon = authority.find(':');
  url.host = authority.substr(0, colon);
  url.port = colon == std::string::npos ? (url.tls ? "443" : "80") : authority.substr(colon + 1);
  url.target = slash == text.size() ? "/" : text.substr(slash, text.find('#') - slash);
  if (url.host.empty() || !is_plain(text)) return fail(ErrorKind::kInvalid, "'{}' is no URL", text);
  return url;
}

std::string join_url(const Url& base, const std::string& location) {
  if (location.starts_with("http://") || location.starts_with("https://")) return location;
  return fmt::format("http{}://{}:{}{}{}", base.tls ? "s" : "", base.host, base.port,
                     location.starts_with('/') ? "" : "/", location);
}

// Asynchronous operations, each waited for, so that silence is an error. Beast only parses.
class Connection {
 public:
  explicit Connection(const Url& url)
      : url_(url), context_(asio::ssl::context::tls_client), stream_(io_, context_) {}

  Status open() {
    ErrorCode error;
    context_.set_default_verify_paths(error);
    Tcp::resolver resolver(io_);
    Tcp::resolver::results_type found;
    resolver.async_resolve(url_.host, url_.port,
                           [&](ErrorCode e, const Tcp::resolver::results_type& r) { error = e, found = r; });
    FOLIO_TRY_STATUS(wait(error, "found"));
    asio::async_connect(socket(), found, [&](ErrorCode e, const Tcp::endpoint&) { error = e; });
    FOLIO_TRY_STATUS(wait(error, "reached"));
    if (!url_.tls) return {};
    stream_.set_verify_mode(asio::ssl::verify_peer);
    stream_.set_verify_callback(asio::ssl::host_name_verification(url_.host));
    SSL_set_tlsext_host_name(stream_.native_handle(), url_.host.c_str());
    stream_.async_handshake(asio::ssl::stream_base::client, [&](ErrorCode e) { error = e; });
    return wait(error, "trusted");
  }

  Status send(const std::string& request) {
    ErrorCode error;
    const auto done = [&](ErrorCode e, std::size_t) { error = e; };
    if (url_.tls)
      asio::async_write(stream_, asio::buffer(request), done);
    else
      asio::async_write(socket(), asio::buffer(request), done);
    return wait(error, "written to");
  }

  Status read_head(Parser& parser) {
    while (!parser.is_header_done()) FOLIO_TRY_STATUS(advance(parser));
    return {};
  }

  // The next piece of the body; empty at its end.
  Result<std::string_view> read_body(Parser& parser) {
    auto& body = parser.get().body();
    body.data = piece_.data();
    body.size = piece_.size();
    body.more = true;
    while (body.size == piece_.size() && !parser.is_done()) FOLIO_TRY_STATUS(advance(parser));
    return std::string_view(piece_.data(), piece_.size() - body.size);
  }

 private:
  Tcp::socket& socket() { return stream_.next_layer(); }

  // Gives the parser what is there; receives where that is not enough.
  Status advance(Parser& parser) {
    std::size_t used = 0;
    if (input_.size() > 0) {
      ErrorCode error;
      used = parser.put(input_.data(), error);
      input_.consume(used);
      if (error && error != http::error::need_more && error != http::error::need_buffer) return broken(error);
      if (error == http::error::need_buffer) return {};
    }
    return used > 0 ? Status() : receive(parser);
  }

  Status receive(Parser& parser) {
    if (input_.size() > kMaxHeadBytes) return broken(http::error::header_limit);
    ErrorCode error;
    std::size_t bytes = 0;
    bool ended = false;
    const auto done = [&](ErrorCode e, std::size_t count) {
      ended = e == asio::error::eof;
      error = ended ? ErrorCode() : e;
      bytes = count;
    };
    const auto room = input_.prepare(kPieceBytes);
    if (url_.tls)
      stream_.async_read_some(room, done);
    else
      socket().async_read_some(room, done);
    FOLIO_TRY_STATUS(wait(error, "read from"));
    input_.commit(bytes);
    if (!ended) return {};
    if (!parser.got_some()) return broken(http::error::end_of_stream);
    parser.put_eof(error);
    return error ? broken(error) : Status();
  }

  Status broken(const ErrorCode& error) const {
    return fail(ErrorKind::kIo, "{} cannot be read from: {}", url_.host, error.message());
  }

  // Runs what was started. `error` is the operation's, set by its handler.
  Status wait(const ErrorCode& error, std::string_view what) {
    io_.restart();
    io_.run_for(std::chrono::seconds(kSilenceS));
    if (!io_.stopped()) {
      ErrorCode ignored;
      socket().close(ignored);
      io_.run();
      return fail(ErrorKind::kIo, "{} cannot be {}: it said nothing for {} s", url_.host, what, kSilenceS);
    }
    if (error) return fail(ErrorKind::kIo, "{} cannot be {}: {}", url_.host, what, error.message());
    return {};
  }

  const Url& url_;
  asio::io_context io_{1};
  asio::ssl::context context_;
  asio::ssl::stream<Tcp::socket> stream_;
  boost::beast::flat_buffer input_;
  std::string piece_ = std::string(kPieceBytes, '\0');
};

std::string header(const Parser& parser, std::string_view name) {
  const auto found = parser.get().find(boost::beast::string_view(name.data(), name.size()));
  return found == parser.get().end() ? "" : std::string(found->value().data(), found->value().size());
}

// A header that holds 64 hexadecimal digits, perhaps in quotes: the hub's way to say a file's SHA-256.
std::string sha256_in(std::string text) {
  std::erase(text, '"');
  const bool is_hex = text.size() == 64 && std::ranges::all_of(text, [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                      });
  return is_hex ? text : "";
}

// "bytes 5-9/10" -> 5, 10
void read_range(const std::string& text, GetResponse& response) {
  const auto number = [&](std::size_t from) -> std::optional<std::size_t> {
    std::size_t value = 0;
    if (from >= text.size() ||
        std::from_chars(text.data() + from, text.data() + text.size(), value).ec != std::errc())
      return {};
    return value;
  };
  response.begin = number(text.find("bytes ") == 0 ? 6 : text.size()).value_or(0);
  if (const std::size_t slash = text.find('/'); slash != std::string::npos)
    response.whole_bytes = number(slash + 1);
}

GetResponse read_response(const Parser& parser) {
  GetResponse response{
      .status = static_cast<int>(parser.get().result_int()), .whole_bytes = {}, .sha256 = {}};
  if (response.status == 206)
    read_range(header(parser, "Content-Range"), response);
  else if (parser.content_length())
    response.whole_bytes = *parser.content_length();
  return response;
}

std::string make_request(const Url& url, const GetRequest& from, const std::string& token) {
  const bool usual = url.port == "443" || url.port == "80";
  std::string text =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: folio\r\nAccept: */*\r\nConnection: close\r\n",
                  url.target, usual ? url.host : url.host + ":" + url.port);
  if (from.offset > 0) text += fmt::format("Range: bytes={}-\r\n", from.offset);
  if (!token.empty()) text += fmt::format("Authorization: Bearer {}\r\n", token);
  return text + "\r\n";
}

}  // namespace

Result<GetResponse> http_get(const GetRequest& request, const GetCallbacks& callbacks) {
  std::string text = request.url, token = request.token, sha256;
  if (!is_plain(token))
    return fail(ErrorKind::kInvalid,
                "the token (HF_TOKEN) holds a space, a line break or a control character");
  for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
    FOLIO_TRY(url, parse_url(text));
    Connection connection(url);
    FOLIO_TRY_STATUS(connection.open());
    FOLIO_TRY_STATUS(connection.send(make_request(url, request, token)));
    Parser parser;
    parser.header_limit(kMaxHeadBytes);
    parser.body_limit(boost::none);
    FOLIO_TRY_STATUS(connection.read_head(parser));
    for (const char* name : {"X-Linked-Etag", "ETag"})
      if (sha256.empty()) sha256 = sha256_in(header(parser, name));
    GetResponse response = read_response(parser);
    if (const std::string location = header(parser, "Location");
        response.status / 100 == 3 && !location.empty()) {
      text = join_url(url, location);
      FOLIO_TRY(next, parse_url(text));
      if (url.tls && !next.tls)
        return fail(ErrorKind::kIo, "{} redirects from https to http; that is not followed", url.host);
      if (next.host != url.host || next.port != url.port) token.clear();
      continue;
    }
    response.sha256 = sha256;
    FOLIO_TRY_STATUS(callbacks.on_head(response));
    while (!parser.is_done()) {
      FOLIO_TRY(piece, connection.read_body(parser));
      if (!piece.empty()) FOLIO_TRY_STATUS(callbacks.on_body(piece));
    }
    return response;
  }
  return fail(ErrorKind::kIo, "{} redirects more than {} times", request.url, kMaxRedirects);
}

}  // namespace folio::hub
