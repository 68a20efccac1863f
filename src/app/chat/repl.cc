#include "app/chat/repl.h"

#include "app/nearest.h"
#include "app/status_line.h"
#include "text/utf8.h"

namespace folio::app {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr std::size_t kMaxMessageBytes = 16u << 20;

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

}  // namespace

void Repl::run() {
  while (!parts_.console.failure()) {
    Message message = read_message();
    if (message.kind == Message::Kind::kEnd) {
      parts_.console.print("\n");
      return;
    }
    if (message.kind == Message::Kind::kDropped || trimmed(message.text).empty()) continue;
    if (message.text.starts_with('/')) {
      if (dispatch(trimmed(message.text)) == Next::kLeave) return;
      continue;
    }
    if (const auto bad = text::first_invalid_utf8(message.text)) {
      complain(fail(ErrorKind::kInvalid, "the message is not valid UTF-8 at byte {}", *bad));
      continue;
    }
    answer([&](const Listener& listener) { return parts_.session.ask(std::move(message.text), listener); });
  }
}

InputLine Repl::next_line(std::string_view prompt) {
  InputLine line = parts_.lines.read_line(prompt);
  if (line.kind == InputLine::Kind::kText) {
    interrupts_ = 0;
    if (parts_.remember) parts_.remember(line.text);
  } else if (line.kind == InputLine::Kind::kInterrupt) {
    parts_.console.print("\n");
    if (++interrupts_ >= 2) parts_.console.note("Ctrl-D or /exit leaves the chat.");
  }
  return line;
}

// One message: a line, lines that end in a backslash with the next, or all between two """.
Repl::Message Repl::read_message() {
  InputLine line = next_line("> ");
  if (line.kind == InputLine::Kind::kEnd) return {.kind = Message::Kind::kEnd, .text = {}};
  if (line.kind == InputLine::Kind::kInterrupt) return {.kind = Message::Kind::kDropped, .text = {}};
  if (line.text.starts_with(kQuotes)) return read_quoted(line.text.substr(kQuotes.size()));
  return read_continued(std::move(line.text));
}

Repl::Message Repl::read_quoted(std::string text) {
  for (;;) {
    const std::string_view seen = text;
    if (const std::size_t end = seen.find_last_not_of(" \t");
        end != std::string_view::npos && seen.substr(0, end + 1).ends_with(kQuotes)) {
      text.resize(end + 1 - kQuotes.size());
      // The message is not a command, whatever it begins with.
      return {.kind = Message::Kind::kText, .text = text.starts_with('/') ? "\n" + text : text};
    }
    const InputLine line = next_line("... ");
    if (line.kind != InputLine::Kind::kText) return {.kind = Message::Kind::kDropped, .text = {}};
    if (!text.empty()) text += "\n";
    text += line.text;
    if (text.size() > kMaxMessageBytes) return {.kind = Message::Kind::kDropped, .text = {}};
  }
}

Repl::Message Repl::read_continued(std::string text) {
  while (text.ends_with('\\') && text.size() < kMaxMessageBytes) {
    const InputLine line = next_line("... ");
    if (line.kind != InputLine::Kind::kText) return {.kind = Message::Kind::kDropped, .text = {}};
    text.pop_back();
    text += "\n" + line.text;
  }
  return {.kind = Message::Kind::kText, .text = std::move(text)};
}

Repl::Next Repl::dispatch(const std::string& line) {
  const std::size_t space = line.find_first_of(" \t\n");
  const std::string name = line.substr(0, space);
  const std::string argument = space == std::string::npos ? std::string() : trimmed(line.substr(space));
  const std::string wanted = name == "/quit" || name == "/bye" ? "/exit" : name == "/?" ? "/help" : name;
  for (const Command& command : commands()) {
    if (command.name != wanted) continue;
    if (command.argument.empty() && !argument.empty()) {
      parts_.console.error(fmt::format("{} takes nothing behind it", name));
      return Next::kGoOn;
    }
    return (this->*command.handler)(argument);
  }
  parts_.console.error(
      fmt::format("there is no command {}{}; /help lists them, and a blank in front makes it a message", name,
                  did_you_mean(name, command_names())));
  return Next::kGoOn;
}

void Repl::answer(const std::function<Result<Answer>(const Listener&)>& ask) {
  Console& console = parts_.console;
  parts_.interrupted();  // what came before is not about this answer
  bool in_line = false;
  const Listener listener = {
      .on_text =
          [&](std::string_view text) {
            console.answer(text);
            in_line = !text.ends_with('\n');
          },
      .wants_stop = [&] { return parts_.interrupted() || console.failure().has_value(); },
      .abandon_step = parts_.interrupt};
  const auto result = ask(listener);
  if (in_line) console.answer("\n");
  if (!result) {
    console.error(result.error().message);
    return;
  }
  if (result->finish == engine::FinishReason::kCancelled) ++interrupts_;
  report(*result);
}

void Repl::report(const Answer& answer) {
  const std::string finish = format_finish(answer, parts_.engine.context_tokens());
  if (parts_.statistics == Statistics::kHide) {
    if (!finish.empty()) parts_.console.note(finish.substr(2));  // without "; "
    return;
  }
  const auto branches = parts_.session.conversation().branches();
  std::string branch;
  if (branches.size() > 1)
    branch =
        fmt::format("branch {}, {} shared or kept blocks; ", parts_.session.conversation().current().name,
                    answer.stats.cached_tokens / parts_.engine.kv_geometry().block_tokens());
  parts_.console.note(branch + format_stats(answer.stats) + finish);
}

void Repl::complain(const Status& status) {
  if (!status) parts_.console.error(status.error().message);
}

}  // namespace folio::app
