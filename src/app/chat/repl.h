// The chat: reads lines, knows the commands, prints answers as they come. Needs no terminal.
// Thread rule: one thread, which also steps the engine. Everything it is given outlives it.
#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/chat/chat_session.h"
#include "app/chat/line_source.h"
#include "app/console.h"
#include "app/options.h"

namespace folio::app {

class Repl {
 public:
  struct Parts {
    engine::Engine& engine;
    ChatSession& session;
    LineSource& lines;
    Console& console;
    std::function<bool()> interrupted;                 // Ctrl-C since the last time it was asked?
    const std::atomic<bool>* interrupt = nullptr;      // the same without taking it
    std::function<void(const std::string&)> remember;  // a line that was typed
    Statistics statistics = Statistics::kShow;
  };
  explicit Repl(Parts parts) : parts_(std::move(parts)) {}

  // Until /exit, the end of the input, or a standard output that cannot be written.
  void run();

  static std::vector<std::string> command_names();  // "/help", ...

 private:
  enum class Next { kGoOn, kLeave };
  struct Command {
    std::string_view name, argument, help;
    Next (Repl::*handler)(const std::string& argument);
  };
  struct Message {
    enum class Kind { kText, kDropped, kEnd } kind;
    std::string text;
  };

  static std::span<const Command> commands();

  Message read_message();
  Message read_quoted(std::string text);
  Message read_continued(std::string text);
  InputLine next_line(std::string_view prompt);
  Next dispatch(const std::string& line);
  void answer(const std::function<Result<Answer>(const Listener&)>& ask);
  void report(const Answer& answer);
  void complain(const Status& status);

  Next help(const std::string&);
  Next clear(const std::string&);
  Next system(const std::string& text);
  Next regenerate(const std::string&);
  Next fork(const std::string& name);
  Next switch_branch(const std::string& name);
  Next list_branches(const std::string&);
  Next save(const std::string& path);
  Next load(const std::string& path);
  Next stats(const std::string&);
  Next exit(const std::string&);

  Parts parts_;
  int interrupts_ = 0;  // since something was typed
};

}  // namespace folio::app
