#include "app/chat/repl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include <deque>

#include "app/chat/chat_testing.h"
#include "support/temp_dir.h"

namespace folio::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// "^C" is Ctrl-C; the end of the list is Ctrl-D.
class Script final : public LineSource {
 public:
  explicit Script(std::deque<std::string> lines) : lines_(std::move(lines)) {}

  InputLine read_line(std::string_view prompt) override {
    prompts += prompt;
    if (lines_.empty()) return {};
    const std::string line = lines_.front();
    lines_.pop_front();
    if (line == "^C") return {.kind = InputLine::Kind::kInterrupt, .text = {}};
    return {.kind = InputLine::Kind::kText, .text = line};
  }

  std::string prompts;

 private:
  std::deque<std::string> lines_;
};

struct Chat {
  std::string answers, notes, prompts;
  std::vector<text::ChatMessage> messages;
};

class ReplTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { engine_ = fixture_engine(); }
  static void TearDownTestSuite() { engine_.reset(); }

  Chat chat(std::deque<std::string> lines, int interrupt_after = -1) {
    Chat result;
    Console console({.answer =
                         [&](std::string_view text) {
                           result.answers += text;
                           return Status();
                         },
                     .note =
                         [&](std::string_view text) {
                           result.notes += text;
                           return Status();
                         }});
    Script script(std::move(lines));
    ChatOptions options;
    options.sampling.temperature = 0;
    options.max_tokens = 12;
    ChatSession session(*engine_, options);
    Repl({.engine = *engine_,
          .session = session,
          .lines = script,
          .console = console,
          .interrupted = [&] { return interrupt_after >= 0 && interrupt_after-- == 0; },
          .remember = {}})
        .run();
    const auto messages = session.conversation().messages();
    result.messages.assign(messages.begin(), messages.end());
    result.prompts = script.prompts;
    return result;
  }

  static std::unique_ptr<engine::Engine> engine_;
};
std::unique_ptr<engine::Engine> ReplTest::engine_;

TEST_F(ReplTest, AnswersAndShowsFigures) {
  const Chat result = chat({"Once upon a time", "/exit", "never read"});
  ASSERT_EQ(result.messages.size(), 2u);
  EXPECT_EQ(result.answers, result.messages[1].content + "\n");
  EXPECT_THAT(result.notes, HasSubstr("generated 12"));
  EXPECT_THAT(result.notes, HasSubstr("stopped by --max-tokens"));
}

TEST_F(ReplTest, MessagesOfSeveralLines) {
  EXPECT_EQ(chat({"\"\"\"a", "", "b\"\"\"  "}).messages.at(0).content, "a\n\nb");
  EXPECT_EQ(chat({"\"\"\"", "/help", "\"\"\""}).messages.at(0).content, "\n/help\n");
  EXPECT_EQ(chat({"\"\"\"one line\"\"\""}).messages.at(0).content, "one line");
  EXPECT_EQ(chat({"a\\", "b\\", "c"}).messages.at(0).content, "a\nb\nc");
  EXPECT_TRUE(chat({"\"\"\"a", "^C"}).messages.empty());
  EXPECT_EQ(chat({"a\\", "b"}).prompts, "> ... > ");
}

TEST_F(ReplTest, CtrlCEndsTheAnswerNotTheChat) {
  const Chat result = chat({"Once upon a time", "And then?"}, 4);
  EXPECT_THAT(result.notes, HasSubstr("stopped by Ctrl-C"));
  EXPECT_EQ(result.messages.size(), 4u);
}

TEST_F(ReplTest, ASecondCtrlCSaysHowToLeave) {
  EXPECT_THAT(chat({"^C"}).notes, Not(HasSubstr("/exit")));
  EXPECT_THAT(chat({"^C", "^C"}).notes, HasSubstr("Ctrl-D or /exit"));
  EXPECT_THAT(chat({"^C", "/clear", "^C"}).notes, Not(HasSubstr("/exit")));
}

TEST_F(ReplTest, UnknownCommandsAndInvalidText) {
  const Chat result = chat({"/frok", "/help x", "bad \xff", "  "});
  EXPECT_THAT(result.notes, HasSubstr("no command /frok (did you mean /fork?)"));
  EXPECT_THAT(result.notes, HasSubstr("/help takes nothing"));
  EXPECT_THAT(result.notes, HasSubstr("not valid UTF-8 at byte 4"));
  EXPECT_TRUE(result.messages.empty());
  EXPECT_EQ(result.answers, "");
}

TEST_F(ReplTest, HelpListsEveryCommand) {
  const Chat result = chat({"/help"});
  for (const std::string& name : Repl::command_names()) EXPECT_THAT(result.notes, HasSubstr(name));
  EXPECT_GE(Repl::command_names().size(), 11u);
}

TEST_F(ReplTest, SystemAndClear) {
  const Chat result = chat({"/system", "/system be kind", "Hello", "/clear", "/system"});
  EXPECT_THAT(result.notes, HasSubstr("no system prompt"));
  EXPECT_THAT(result.notes, HasSubstr("be kind\n"));
  ASSERT_EQ(result.messages.size(), 1u);
  EXPECT_EQ(result.messages[0].content, "be kind");
}

TEST_F(ReplTest, ForkSwitchAndRegenerate) {
  const Chat result = chat({"Tell me of a boy named Tim who had a big blue boat.", "/fork idea", "What next?",
                            "/branches", "/switch main", "/regenerate", "/fork main", "/switch none"});
  EXPECT_THAT(result.notes, HasSubstr("* idea, 4 messages"));
  EXPECT_THAT(result.notes, HasSubstr("  main, 2 messages"));
  EXPECT_THAT(result.notes, HasSubstr("branch idea, "));
  EXPECT_THAT(result.notes, HasSubstr("'/switch main' goes there"));
  EXPECT_THAT(result.notes, HasSubstr("no branch 'none'"));
  EXPECT_EQ(result.messages.size(), 2u);
}

TEST_F(ReplTest, SaveAndLoad) {
  const test::TempDir dir;
  const std::string path = dir.file("chat.json");
  const Chat saved = chat({"Hello there", "/save " + path, "/save " + path, "/save", "/save " + dir.path(),
                           "/save " + dir.write("precious", "the only copy")});
  EXPECT_THAT(saved.notes, HasSubstr("2 messages written"));
  EXPECT_THAT(saved.notes, HasSubstr("/save takes a file"));
  EXPECT_THAT(saved.notes, HasSubstr(dir.path() + ": is there already and is not a saved conversation"));
  EXPECT_THAT(saved.notes, HasSubstr(dir.file("precious") + ": is there already"));
  std::ifstream precious(dir.file("precious"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(precious), {}), "the only copy");
  const std::string broken = dir.write("broken.json", "{\"messages\": [1]}");
  const Chat loaded = chat({"/load " + path, "/load " + broken, "/load " + dir.file("none")});
  EXPECT_THAT(loaded.notes, HasSubstr("2 messages read"));
  EXPECT_THAT(loaded.notes, HasSubstr("message 0"));
  EXPECT_THAT(loaded.notes, HasSubstr("cannot be opened"));
  ASSERT_EQ(loaded.messages.size(), 2u);  // what could not be read changed nothing
  EXPECT_EQ(loaded.messages[1].content, saved.messages[1].content);
  const std::string waiting = dir.write("w.json", R"([{"role":"user","content":"Hi"}])");
  EXPECT_EQ(chat({"/load " + waiting, "/regenerate"}).messages.size(), 2u);
  EXPECT_EQ(chat({"/load " + waiting, "Bye"}).messages.at(0).content, "Bye");
}

TEST_F(ReplTest, StatsAndEndOfInput) {
  const Chat result = chat({"Hello", "/stats"});
  EXPECT_THAT(result.notes, HasSubstr("session   1 answer;"));
  EXPECT_THAT(result.notes, HasSubstr("KV cache  "));
  EXPECT_THAT(result.notes, ::testing::EndsWith("\n"));
}

}  // namespace
}  // namespace folio::app
