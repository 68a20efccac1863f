#include "server/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/target.h"

namespace folio::server {
namespace {

using ::testing::HasSubstr;

HttpRequest request(std::string host, std::vector<Header> headers = {}) {
  HttpRequest made;
  made.method = "POST";
  made.host = std::move(host);
  made.headers = std::move(headers);
  return made;
}
HttpRequest page(std::string origin) { return request("localhost:8000", {{"Origin", std::move(origin)}}); }

TEST(Gate, WhereOnlyThisMachineCanConnectTheHostIsThisMachine) {
  const Gate gate({}, Reach::kThisMachine);
  for (const char* host : {"", "localhost", "LOCALHOST:8000", "localhost.", "a.localhost", "127.0.0.1:80",
                           "127.9.9.9", "[::1]", "[::1]:8000"})
    EXPECT_TRUE(gate.check_page(request(host))) << host;
  for (const char* host :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.evil.a.b", "notlocalhost",
        "192.168.0.1:8000", "[::2]", "x", "evil.example/.localhost", "evil#.localhost", ".localhost",
        "a..localhost", "localhost:", "localhost:80:80", "localhost:abc"}) {
    const auto checked = gate.check_page(request(host));
    ASSERT_FALSE(checked) << host;
    EXPECT_EQ(checked.error().status, 403);
    EXPECT_THAT(checked.error().message, HasSubstr("--allowed-hosts"));
  }
  const Gate named({.allowed_hosts = {"Mine.example"}}, Reach::kThisMachine);
  EXPECT_TRUE(named.check_page(request("mine.example:8000")));
  EXPECT_FALSE(named.check_page(request("other.example")));
  EXPECT_TRUE(Gate({.allowed_hosts = {"*"}}, Reach::kThisMachine).check_page(request("x")));
}

TEST(Gate, ElsewhereAndWithAKeyAnyHostMayBeNamed) {
  for (const Reach reach : {Reach::kUnixSocket, Reach::kNetwork})
    EXPECT_TRUE(Gate({}, reach).check_page(request("x")));
  EXPECT_TRUE(Gate({.api_keys = {"k"}}, Reach::kThisMachine).check_page(request("x")));
}

TEST(Gate, PagesOfOtherMachinesAreRefusedWhereNoKeyIsNeeded) {
  const Gate gate({}, Reach::kThisMachine);
  EXPECT_TRUE(gate.check_page(page("http://localhost:3000")));
  EXPECT_TRUE(gate.check_page(page("https://127.0.0.1")));
  EXPECT_EQ(gate.cors_headers(page("http://localhost:3000")).at(0).value, "http://localhost:3000");
  for (const char* origin :
       {"https://evil.example", "null", "http://localhost.evil.example", "file://localhost"}) {
    const auto checked = gate.check_page(page(origin));
    ASSERT_FALSE(checked) << origin;
    EXPECT_THAT(checked.error().message, HasSubstr("--allowed-origins"));
    EXPECT_TRUE(gate.cors_headers(page(origin)).empty());
  }
  const Gate open({.allowed_origins = {"*"}}, Reach::kThisMachine);
  EXPECT_TRUE(open.check_page(page("https://any.example")));
  EXPECT_EQ(open.cors_headers(page("https://any.example")).at(0).value, "*");
  const Gate keyed({.api_keys = {"k"}}, Reach::kThisMachine);
  EXPECT_TRUE(keyed.check_page(page("https://any.example")));
  EXPECT_EQ(keyed.cors_headers(page("https://any.example")).at(0).value, "*");
}

TEST(Gate, AKeyMayStandInThreeHeaders) {
  const Gate gate({.api_keys = {"first", "second"}}, Reach::kNetwork);
  EXPECT_EQ(gate.key_of(request("x", {{"Authorization", "Bearer second"}})), 2u);
  EXPECT_EQ(gate.key_of(request("x", {{"authorization", "bearer first"}})), 1u);
  EXPECT_EQ(gate.key_of(request("x", {{"api-key", "first"}})), 1u);
  EXPECT_EQ(gate.key_of(request("x", {{"X-Api-Key", "second"}})), 2u);
  EXPECT_EQ(gate.key_of(request("x", {{"Authorization", "Bearer none"}, {"api-key", "first"}})), 1u);
  for (const Header& wrong : {Header{"Authorization", "first"}, Header{"Authorization", "Bearer "},
                              Header{"api-key", "firs"}, Header{"api-key", ""}, Header{"key", "first"}})
    EXPECT_EQ(gate.key_of(request("x", {wrong})), std::nullopt) << wrong.value;
  EXPECT_EQ(Gate({}, Reach::kNetwork).key_of(request("x")), 0u);
}

TEST(Target, FormsOfOneTarget) {
  for (const char* target : {"/v1/models", "/v1/models/", "/v1/models?a=b/c", "/v1/%6Dodels",
                             "/v1/%6dodels#x", "http://host:80/v1/models", "HTTPS://host/v1/models/?x"}) {
    const auto parsed = parse_target(target);
    ASSERT_TRUE(parsed) << target;
    EXPECT_EQ(parsed->path, "/v1/models") << target;
  }
  EXPECT_EQ(parse_target("http://host:80/v1")->authority, "host:80");
  EXPECT_EQ(parse_target("http://host")->path, "/");
  EXPECT_EQ(parse_target("/v1/models/a%2Fb")->path, "/v1/models/a/b");
  EXPECT_EQ(parse_target("/")->path, "/");
  EXPECT_EQ(parse_target("*")->path, "*");
  for (const char* wrong :
       {"", "v1", "http://", "http:///v1", "/%", "/%4", "/%zz", "/%00", "/%0a", "host:80"})
    EXPECT_FALSE(parse_target(wrong)) << wrong;
}

}  // namespace
}  // namespace folio::server
