// HTTP/1.1 as a client may send it, cut into pieces of any length: every answer is one of the protocol's, what
// the handler sees is a whole request that its head was asked about, and nothing is left at the end.
// `./dev fuzz http`.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/connection_testing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace folio::server;
using namespace folio::server::testing_support;

constexpr HttpLimits kLimits = {.header_bytes = 2048, .body_bytes = 4096, .all_bodies_bytes = 8192};

void require(bool holds) {
  if (!holds) std::abort();
}

void check_requests(const FakeServer& server) {
  require(server.handler.requests.size() <= server.handler.admitted);
  for (const HttpRequest& request : server.handler.requests) {
    require(!request.method.empty() && !request.path.empty() && request.body.size() <= kLimits.body_bytes);
    require(request.path == "*" || request.path.front() == '/');
  }
}

}  // namespace

// The first byte says how the rest comes: in pieces of so many bytes, 0 for all of it, and with its highest bit
// set a head that is refused where it names a path with a 'k'.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  FakeServer server(kLimits);
  if ((data[0] & 0x80) != 0)
    server.handler.on_head = [](const HttpRequest& head) {
      Admission admission;
      if (head.path.find('k') != std::string::npos)
        admission.refusal = HttpResponse{.status = 401, .body = "key", .headers = {}};
      return admission;
    };
  FakeStream& client = server.connect();
  if ((data[0] & 0x7f) != 0) client.piece = data[0] & 0x7f;
  client.incoming.assign(reinterpret_cast<const char*>(data + 1), size - 1);
  server.run();
  check_requests(server);
  require(client.sent.empty() || client.sent.starts_with("HTTP/1.1 "));
  client.ended = true;
  server.run();
  check_requests(server);
  require(client.closed && server.pool.open.empty() && server.pool.exchanges == 0);
  server.handler.requests.clear();
  require(server.pool.bodies->held() == 0);
  return 0;
}
