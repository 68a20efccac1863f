#include "app/chat/chat_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/chat/chat_testing.h"

namespace folio::app {
namespace {

using ::testing::HasSubstr;

const Listener kQuiet = {.on_text = [](std::string_view) {}, .wants_stop = [] { return false; }};
const std::string kQuestion = "Tell me a story of a little girl named Lily and her big red ball.";

ChatOptions greedy(std::size_t max_tokens) {
  ChatOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = max_tokens;
  return options;
}

TEST(ChatSession, TheNextTurnComesFromTheCache) {
  const auto engine = fixture_engine();
  ASSERT_TRUE(engine);
  ChatSession session(*engine, greedy(60));
  const auto first = session.ask(kQuestion, kQuiet);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->stats.cached_tokens, 0u);
  const auto second = session.ask("And then?", kQuiet);
  ASSERT_TRUE(second) << second.error().message;
  // All full blocks of question and answer, but for the one in which the answer may be cut into tokens
  // otherwise.
  const std::size_t known = first->stats.prompt_tokens + first->stats.generated_tokens;
  EXPECT_GE(second->stats.cached_tokens + 2 * 16, known);
  EXPECT_LT(second->stats.cached_tokens, second->stats.prompt_tokens);
  EXPECT_EQ(session.conversation().messages().size(), 4u);
  EXPECT_EQ(session.totals().answers, 2u);
  EXPECT_EQ(session.totals().cached_tokens, second->stats.cached_tokens);
  EXPECT_TRUE(engine->check_integrity());
}

TEST(ChatSession, WithoutTheCacheTheTextIsTheSame) {
  const auto engine = fixture_engine();
  engine::EngineOptions options{.model = fixture_model(), .kv_use = engine::KvUse::kRecompute};
  const auto recomputing = engine::Engine::load(options);
  ASSERT_TRUE(engine && recomputing);
  ChatSession cached(*engine, greedy(30)), recomputed(**recomputing, greedy(30));
  for (const char* text : {kQuestion.c_str(), "And then?"}) {
    const auto a = cached.ask(text, kQuiet);
    const auto b = recomputed.ask(text, kQuiet);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->text, b->text);
    EXPECT_EQ(b->stats.cached_tokens, 0u);
  }
}

TEST(ChatSession, BranchesShareBlocks) {
  const auto engine = fixture_engine();
  ASSERT_TRUE(engine);
  ChatSession session(*engine, greedy(40));
  ASSERT_TRUE(session.ask(kQuestion, kQuiet));
  ASSERT_TRUE(session.conversation().fork("other"));
  const auto other = session.ask("She was sad.", kQuiet);
  ASSERT_TRUE(session.conversation().switch_to("main"));
  const auto main = session.ask("She was happy.", kQuiet);
  ASSERT_TRUE(other && main);
  EXPECT_GT(other->stats.cached_tokens, 0u);
  EXPECT_GE(main->stats.cached_tokens, other->stats.cached_tokens);

  const auto fresh = fixture_engine();  // what is shared changes nothing
  ChatSession alone(*fresh, greedy(40));
  ASSERT_TRUE(alone.ask(kQuestion, kQuiet));
  EXPECT_EQ(alone.ask("She was happy.", kQuiet)->text, main->text);
}

TEST(ChatSession, RegenerateDrawsAnew) {
  const auto engine = fixture_engine();
  ASSERT_TRUE(engine);
  ChatOptions options = greedy(40);
  options.sampling = {.temperature = 1.0F, .seed = 7};
  ChatSession session(*engine, options);
  EXPECT_THAT(session.regenerate(kQuiet).error().message, HasSubstr("no question"));
  const auto first = session.ask(kQuestion, kQuiet);
  const auto second = session.regenerate(kQuiet);
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->text, second->text);
  EXPECT_EQ(session.conversation().messages().size(), 2u);
  EXPECT_EQ(session.conversation().messages().back().content, second->text);

  ChatSession again(*engine, options);  // the same seed, the same answers
  EXPECT_EQ(again.ask(kQuestion, kQuiet)->text, first->text);
  EXPECT_EQ(again.regenerate(kQuiet)->text, second->text);
}

TEST(ChatSession, AConversationThatOutgrowsTheContextIsRefusedAndKept) {
  const auto engine = fixture_engine(64);
  ASSERT_TRUE(engine);
  ChatSession session(*engine, greedy(8));
  ASSERT_TRUE(session.ask("Hello.", kQuiet));
  const auto refused = session.ask(std::string(400, 'x'), kQuiet);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kTooLarge);
  EXPECT_THAT(refused.error().message, HasSubstr("context of 64"));
  EXPECT_THAT(refused.error().message, HasSubstr("/clear"));
  EXPECT_THAT(refused.error().message, HasSubstr("--ctx-size"));
  EXPECT_EQ(session.conversation().messages().size(), 2u);
}

TEST(ChatSession, AnAnswerFillsTheContextAndEnds) {
  const auto engine = fixture_engine(64);
  ASSERT_TRUE(engine);
  ChatOptions options = greedy(1000);
  ChatSession session(*engine, options);
  const auto answer = session.ask("Once upon a time", kQuiet);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->finish, engine::FinishReason::kLength);
  EXPECT_EQ(answer->stats.prompt_tokens + answer->stats.generated_tokens, 64u);
}

TEST(ChatSession, AStoppedAnswerIsKeptAsFarAsItCame) {
  const auto engine = fixture_engine();
  ASSERT_TRUE(engine);
  ChatSession session(*engine, greedy(100));
  std::size_t pieces = 0;
  const auto answer = session.ask(
      kQuestion, {.on_text = [&](std::string_view) { ++pieces; }, .wants_stop = [&] { return pieces >= 3; }});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->finish, engine::FinishReason::kCancelled);
  EXPECT_EQ(pieces, 3u);
  EXPECT_EQ(session.conversation().messages().back().content, answer->text);

  const auto nothing =
      session.ask("x", {.on_text = [](std::string_view) {}, .wants_stop = [] { return true; }});
  ASSERT_TRUE(nothing);
  EXPECT_EQ(session.conversation().messages().size(), nothing->text.empty() ? 2u : 4u);
  EXPECT_TRUE(engine->check_integrity());
}

TEST(ChatSession, AModelWithoutATemplateEndsAtTheNextSpeaker) {
  const auto engine = fixture_engine();
  ASSERT_TRUE(engine);
  ASSERT_EQ(engine->chat_template().name(), "transcript (fallback)");
  EXPECT_THAT(stop_texts(*engine, {"x"}), ::testing::ElementsAre("x", "\nUser:"));
}

}  // namespace
}  // namespace folio::app
