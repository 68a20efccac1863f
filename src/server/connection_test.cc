#include "server/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/connection_testing.h"

namespace folio::server {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string post(std::size_t bytes) {
  return fmt::format("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", bytes);
}
std::string get(std::string_view target) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", target);
}

TEST(Connection, AnswersRequestsOneAfterTheOtherHoweverTheyCome) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{65'536}}) {
    FakeServer server;
    const std::string sent = server.answer_to(post(3) + "abc" + get("/b"), piece);
    EXPECT_EQ(server.handler.requests.at(0).body, "abc");
    EXPECT_LT(sent.find("/a"), sent.find("/b"));
    EXPECT_TRUE(server.clients.front().second->output_ended);
  }
}

TEST(Connection, ARefusedHeadEndsTheConnectionBeforeItsBodyIsRead) {
  FakeServer server;
  server.handler.on_head = [](const HttpRequest& head) {
    EXPECT_EQ(head.method + " " + head.path + " " + head.host, "POST /a x");
    return Admission{.refusal = HttpResponse{.status = 401, .body = "key?", .headers = {}}};
  };
  FakeStream& client = server.connect();
  client.incoming = post(10'000'000) + std::string(1000, 'x');
  server.run();
  EXPECT_THAT(client.sent, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(client.sent, HasSubstr("Connection: close"));
  EXPECT_TRUE(client.output_ended);
  EXPECT_TRUE(server.handler.requests.empty());
  EXPECT_EQ(server.pool.exchanges, 0u);
}

TEST(Connection, ARefusedHeadWithoutABodyLeavesTheConnectionOpen) {
  FakeServer server;
  server.handler.on_head = [](const HttpRequest& head) {
    if (head.path == "/b") return Admission{};
    return Admission{.refusal = HttpResponse{.status = 401, .body = "key?", .headers = {}}};
  };
  const std::string sent = server.answer_to("GET /a HTTP/1.1\r\nHost: x\r\n\r\n" + get("/b"));
  EXPECT_THAT(sent, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(sent, HasSubstr("HTTP/1.1 200 "));
}

TEST(Connection, ABodyIsNoLongerThanItsHeadAllows) {
  FakeServer server;
  server.handler.on_head = [](const HttpRequest&) { return Admission{.refusal = {}, .body_bytes = 10}; };
  EXPECT_THAT(server.answer_to(post(11)), HasSubstr("413"));
  EXPECT_THAT(server.answer_to(post(10) + "0123456789"), HasSubstr("200 OK"));
  EXPECT_THAT(server.answer_to(
                  "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n"),
              HasSubstr("10 bytes at most"));
}

TEST(Connection, BodiesAreBoundedTogetherAndSmallOnesPass) {
  FakeServer server({.all_bodies_bytes = 200'000});
  server.handler.answers = false;
  FakeStream& first = server.connect();
  first.incoming = post(150'000) + std::string(140'000, 'x');
  server.run();
  EXPECT_EQ(first.sent, "");
  const std::size_t held = server.pool.bodies->held();
  EXPECT_GE(held, 140'000 - kFreeBodyBytes);
  EXPECT_THAT(server.answer_to(post(600'000) + std::string(600'000, 'x')), StartsWith("HTTP/1.1 429 "));
  EXPECT_EQ(server.answer_to(post(15'000) + std::string(15'000, 'x')), "") << "it is taken, and waits";
  EXPECT_EQ(server.handler.requests.size(), 1u);
  first.incoming = std::string(10'000, 'x');
  server.run();
  ASSERT_EQ(server.handler.requests.size(), 2u);
  EXPECT_GE(server.pool.bodies->held(), 150'000 - kFreeBodyBytes)
      << "whoever has the request holds its share";
  server.handler.requests.clear();
  EXPECT_EQ(server.pool.bodies->held(), 0u);
}

TEST(Connection, AnAnnouncedLengthTakesNothing) {
  FakeServer server;
  FakeStream& client = server.connect();
  client.incoming = post(16'000'000) + "x";
  server.run();
  EXPECT_EQ(server.pool.bodies->held(), 0u);
}

TEST(Connection, HeadersAreBoundedTogether) {
  FakeServer server({.header_bytes = 4 << 20});
  std::vector<FakeStream*> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(&server.connect());
    clients.back()->incoming = "GET / HTTP/1.1\r\nX: " + std::string(4'000'000, 'x');
  }
  server.run();
  EXPECT_GT(std::ranges::count_if(clients, [](auto* c) { return c->sent.starts_with("HTTP/1.1 503 "); }), 0);
  EXPECT_LE(server.pool.headers->held(), server.pool.headers->most());
}

TEST(Connection, ARequestWhoseLengthMayBeUnderstoodInTwoWaysIsRefusedAndNothingFollowsIt) {
  const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const char* fields :
       {"Transfer-Encoding: gzip", "Transfer-Encoding: identity", "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding:", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3", "Content-Length: 3\r\nContent-Length: 4",
        "Host: y"}) {
    FakeServer server;
    const std::string sent =
        server.answer_to(fmt::format("POST /a HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", fields) + hidden);
    EXPECT_TRUE(sent.starts_with("HTTP/1.1 400 ") || sent.starts_with("HTTP/1.1 501 "))
        << fields << ": " << sent;
    EXPECT_EQ(sent.find("hidden"), std::string::npos) << fields;
    EXPECT_TRUE(server.handler.requests.empty()) << fields;
    EXPECT_TRUE(server.clients.front().second->output_ended) << fields;
  }
  FakeServer server;
  EXPECT_THAT(server.answer_to("GET /a HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(server.answer_to("GET /a HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(server.answer_to("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(server.answer_to("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
}

TEST(Connection, BlankLinesBeforeARequestAreSkipped) {
  FakeServer server;
  EXPECT_THAT(server.answer_to("\r\n\r\n" + get("/a"), 1), HasSubstr("200 OK"));
  EXPECT_THAT(server.answer_to(post(1) + "x\r\n" + get("/b")), HasSubstr("/b"));
}

TEST(Connection, AClientThatLeavesBehindAByteIsNoticed) {
  FakeServer server;
  server.handler.answers = false;
  FakeStream& client = server.connect();
  client.incoming = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nG";
  server.run();
  ASSERT_EQ(server.handler.requests.size(), 1u);
  client.reset = true;
  server.run_for(std::chrono::milliseconds(600));
  EXPECT_EQ(server.handler.gone, 1u);
  EXPECT_TRUE(client.closed);
}

TEST(Connection, AHalfClosedClientStillGetsItsAnswers) {
  FakeServer server;
  server.handler.answers = false;
  FakeStream& client = server.connect();
  client.incoming = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n" + get("/b");
  client.ended = true;
  server.run_for(std::chrono::milliseconds(600));
  EXPECT_EQ(server.handler.gone, 0u);
  server.handler.exchanges.at(0)->respond({.body = "first", .headers = {}});
  server.run();
  ASSERT_EQ(server.handler.exchanges.size(), 2u);
  server.handler.exchanges.at(1)->respond({.body = "second", .headers = {}});
  server.run();
  EXPECT_LT(client.sent.find("first"), client.sent.find("second"));
}

TEST(Connection, OneAddressHasOnlyItsShareOfTheConnections) {
  FakeServer server({.connections = 4, .connections_per_address = 2});
  server.connect();
  EXPECT_EQ(server.pool.why_full("192.0.2.7"), "");
  FakeStream& second = server.connect();
  EXPECT_THAT(server.pool.why_full("192.0.2.7"), HasSubstr("--max-connections-per-address"));
  EXPECT_EQ(server.pool.why_full("192.0.2.8"), "");
  EXPECT_EQ(server.pool.why_full(""), "") << "a Unix socket's clients have no address";
  second.reset = true;
  server.run();
  EXPECT_EQ(server.pool.why_full("192.0.2.7"), "");
}

TEST(ByteShare, WhatIsFreeCountsForNobody) {
  const auto budget = std::make_shared<ByteBudget>(100, 10);
  ByteShare first(budget), second(budget);
  EXPECT_TRUE(first.resize(10));
  EXPECT_EQ(budget->held(), 0u);
  EXPECT_TRUE(first.resize(110));
  EXPECT_FALSE(second.resize(11));
  EXPECT_TRUE(second.resize(10));
  EXPECT_FALSE(first.resize(111));
  EXPECT_EQ(budget->held(), 100u) << "as it was";
  second = std::move(first);
  EXPECT_TRUE(second.resize(50));
  EXPECT_EQ(budget->held(), 40u);
  second = ByteShare();
  first = ByteShare();
  EXPECT_EQ(budget->held(), 0u);
}

}  // namespace
}  // namespace folio::server
