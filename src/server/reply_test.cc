#include "server/reply.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace folio::server {
namespace {

struct Sent final : Exchange {
  void respond(HttpResponse) override {}
  void begin(HttpResponse) override { begun = true; }
  void send(std::string_view bytes) override { text += bytes; }
  void end() override {}
  bool begun = false;
  std::string text;
};

Reply::Parts parts(std::shared_ptr<Exchange> exchange, bool stream) {
  Reply::Parts made;
  made.request.stream = stream;
  made.exchange = std::move(exchange);
  return made;
}

TEST(Reply, ASilentStreamIsSentACommentEveryTenSeconds) {
  const auto sent = std::make_shared<Sent>();
  Reply reply(parts(sent, true));
  ASSERT_TRUE(sent->begun);
  const Clock::time_point start = Clock::now();
  reply.ping(start + std::chrono::seconds(9));
  EXPECT_EQ(sent->text, "");
  reply.ping(start + std::chrono::seconds(11));
  EXPECT_EQ(sent->text, ": ping\n\n");
  reply.ping(start + std::chrono::seconds(20));
  EXPECT_EQ(sent->text, ": ping\n\n");
  reply.ping(start + std::chrono::seconds(21));
  EXPECT_EQ(sent->text, ": ping\n\n: ping\n\n");
  reply.abandon();
  reply.ping(start + std::chrono::seconds(60));
  EXPECT_EQ(sent->text, ": ping\n\n: ping\n\n");
}

TEST(Reply, AWholeAnswerIsSentNoComments) {
  const auto sent = std::make_shared<Sent>();
  Reply reply(parts(sent, false));
  reply.ping(Clock::now() + std::chrono::seconds(60));
  EXPECT_EQ(sent->text, "");
}

}  // namespace
}  // namespace folio::server
