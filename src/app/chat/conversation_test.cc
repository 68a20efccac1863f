#include "app/chat/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace folio::app {
namespace {

using ::testing::HasSubstr;

std::string roles(std::span<const text::ChatMessage> messages) {
  std::string text;
  for (const auto& message : messages) text += message.role[0];
  return text;
}

TEST(Conversation, SystemPromptComesFirstAndSurvivesClear) {
  Conversation chat(std::string("be brief"));
  chat.add_user("a");
  chat.add_assistant("b");
  EXPECT_EQ(roles(chat.messages()), "sua");
  chat.set_system("be long");
  EXPECT_EQ(chat.system(), "be long");
  EXPECT_EQ(roles(chat.messages()), "sua");
  chat.clear();
  EXPECT_EQ(roles(chat.messages()), "s");
  chat.set_system("");
  EXPECT_EQ(chat.system(), std::nullopt);
  EXPECT_TRUE(chat.messages().empty());
}

TEST(Conversation, BranchesShareThePastAndNotTheFuture) {
  Conversation chat;
  chat.add_user("a");
  chat.add_assistant("b");
  ASSERT_TRUE(chat.fork("idea"));
  chat.add_user("c");
  EXPECT_EQ(chat.current().name, "idea");
  ASSERT_TRUE(chat.switch_to("main"));
  EXPECT_EQ(roles(chat.messages()), "ua");
  ASSERT_TRUE(chat.fork(""));
  EXPECT_EQ(chat.current().name, "branch-3");
  EXPECT_EQ(chat.branches().size(), 3u);
}

TEST(Conversation, BranchErrorsSayWhatToDo) {
  Conversation chat;
  EXPECT_THAT(chat.fork("main").error().message, HasSubstr("/switch main"));
  EXPECT_THAT(chat.fork("two words").error().message, HasSubstr("one word"));
  EXPECT_THAT(chat.switch_to("none").error().message, HasSubstr("there are: main"));
}

TEST(ConversationFile, RoundTrip) {
  const std::vector<text::ChatMessage> messages = {
      {"system", "s"}, {"user", "line 1\nline 2 \"quoted\" \xc3\xa9"}, {"assistant", "<|im_end|>"}};
  const auto read = parse_messages(format_messages(messages), "x.json");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*read)[i].role, messages[i].role);
    EXPECT_EQ((*read)[i].content, messages[i].content);
  }
}

TEST(ConversationFile, ABareArrayIsFine) {
  EXPECT_EQ(parse_messages(R"([{"role":"user","content":"a"}])", "x").value().size(), 1u);
  EXPECT_TRUE(parse_messages("[]", "x").value().empty());
}

TEST(ConversationFile, HostileFilesGetASentenceThatNamesThem) {
  const std::pair<std::string, const char*> cases[] = {
      {"", ""},
      {"{\"messages\":", ""},
      {"42", "array"},
      {"{}", "messages"},
      {"{\"messages\": 1}", "array"},
      {"[1]", "message 0"},
      {"[{\"role\":\"user\"}]", "'content'"},
      {"[{\"role\":\"user\",\"content\":[1]}]", "'content' is no text"},
      {"[{\"role\":\"assistant\",\"content\":\"\"}]", "out of turn"},
      {"[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"\"}]", "message 1"},
      {"[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"system\",\"content\":\"\"}]", "message 1"},
      {"[{\"role\":\"tool\",\"content\":\"\"}]", "'tool'"},
      {"[{\"role\":\"user\",\"content\":\"\xff\"}]", ""},
      {std::string(100000, '['), ""},
  };
  for (const auto& [json, says] : cases) {
    const auto read = parse_messages(json, "chat.json");
    ASSERT_FALSE(read) << json.substr(0, 60);
    EXPECT_THAT(read.error().message, HasSubstr("chat.json"));
    EXPECT_THAT(read.error().message, HasSubstr(says));
  }
}

}  // namespace
}  // namespace folio::app
