#include "app/status_line.h"

#include <gtest/gtest.h>

#include "app/console.h"
#include "app/progress_bar.h"

namespace folio::app {
namespace {

TEST(StatusLine, Figures) {
  EXPECT_EQ(format_bytes(1023), "1023 bytes");
  EXPECT_EQ(format_bytes(1024), "1.0 KB");
  EXPECT_EQ(format_bytes(3686400), "3.5 MB");
  EXPECT_EQ(format_bytes(std::uint64_t{1} << 40), "1.0 TB");
  EXPECT_EQ(format_seconds(0.085), "85 ms");
  EXPECT_EQ(format_seconds(1.25), "1.25 s");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1234567), "1,234,567");
}

TEST(StatusLine, AllOfTheIssuesFigures) {
  const engine::GenerationStats stats = {.prompt_tokens = 34,
                                         .cached_tokens = 16,
                                         .generated_tokens = 21,
                                         .first_token_s = 0.085,
                                         .prefill_s = 0.09,
                                         .decode_s = 0.4,
                                         .kv_blocks = 4,
                                         .kv_bytes = 4 * 368640,
                                         .error = {}};
  EXPECT_EQ(format_stats(stats),
            "prompt 34 tokens, 16 from the cache; generated 21; first token after 85 ms; prefill 200.0 "
            "tok/s; decode 50.0 "
            "tok/s; KV 4 blocks, 1.4 MB");
}

TEST(StatusLine, NothingGeneratedHasNoRates) {
  engine::GenerationStats stats;
  stats.prompt_tokens = 1;
  EXPECT_EQ(format_stats(stats),
            "prompt 1 token, 0 from the cache; generated 0; first token after -; prefill -; decode -; KV 0 "
            "blocks, 0 bytes");
}

TEST(StatusLine, SaysWhyAnAnswerEnded) {
  Answer answer;
  answer.stats.prompt_tokens = 10;
  answer.stats.generated_tokens = 6;
  EXPECT_EQ(format_finish(answer, 16), "");
  answer.finish = engine::FinishReason::kLength;
  EXPECT_EQ(format_finish(answer, 16), "; the context of 16 tokens is full");
  EXPECT_EQ(format_finish(answer, 32), "; stopped by --max-tokens");
  answer.finish = engine::FinishReason::kCancelled;
  EXPECT_EQ(format_finish(answer, 32), "; stopped by Ctrl-C");
}

TEST(ProgressBar, FitsTheTerminal) {
  EXPECT_EQ(format_bar("loading", 1, 2, 28), "loading [#####.....]  50 %");
  EXPECT_EQ(format_bar("loading", 3, 2, 28), "loading [##########] 100 %");
  EXPECT_EQ(format_bar("loading", 1, 2, 10), "");
  EXPECT_EQ(format_bar("loading", 0, 0, 80), "");
  for (std::size_t columns = 0; columns < 100; ++columns)
    EXPECT_LE(format_bar("loading", 1, 1, columns).size(), columns);
}

TEST(Console, ControlCharactersOfAnAnswerAreHidden) {
  EXPECT_EQ(without_controls("a\x1b[31mb\tc\nd\re"),
            "a\xEF\xBF\xBD[31mb\tc\nd\xEF\xBF\xBD"
            "e");
  EXPECT_EQ(without_controls("\xc2\x9b"
                             "31m \xc2\xa0\xc3\xa9"),
            "\xEF\xBF\xBD"
            "31m \xc2\xa0\xc3\xa9");
}

TEST(Console, DropsAnswersAfterAFailedWrite) {
  int calls = 0;
  Console console({.answer = [&](std::string_view) -> Status {
                     ++calls;
                     return fail(ErrorKind::kIo, "closed");
                   },
                   .note = [](std::string_view) { return Status(); }});
  console.answer("a");
  console.answer("b");
  EXPECT_EQ(calls, 1);
  ASSERT_TRUE(console.failure());
  EXPECT_EQ(console.failure()->message, "closed");
}

TEST(Console, NotesAreDimOnlyWhereAsked) {
  std::string notes;
  const auto write = [&](std::string_view text) {
    notes += text;
    return Status();
  };
  Console({.answer = write, .note = write}).note("x");
  EXPECT_EQ(notes, "x\n");
  notes.clear();
  Console({.answer = write, .note = write, .note_style = Style::kDim}).note("x");
  EXPECT_EQ(notes, "\x1b[2mx\x1b[0m\n");
}

}  // namespace
}  // namespace folio::app
