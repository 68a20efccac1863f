// What the commands of the chat do.
#include <cstdlib>
#include <filesystem>

#include "app/chat/repl.h"
#include "app/status_line.h"
#include "platform/file.h"
#include "text/utf8.h"

namespace folio::app {
namespace {

// A path as a shell would read it: "~/" is the home folder.
std::string expanded(const std::string& path) {
  const char* const home = std::getenv("HOME");
  return path.starts_with("~/") && home != nullptr ? home + path.substr(1) : path;
}

Result<std::vector<text::ChatMessage>> read_messages(const std::string& path) {
  FOLIO_TRY(content, platform::read_regular_file(expanded(path), kMaxConversationBytes));
  return parse_messages(content, path);
}

// Whether a conversation may be written there: where nothing is, or another conversation.
Status check_saving(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(expanded(path), ignored) || read_messages(path)) return {};
  return fail(ErrorKind::kInvalid, "{}: is there already and is not a saved conversation; give another name",
              path);
}

std::string messages_text(std::size_t count) {
  return fmt::format("{} message{}", count, count == 1 ? "" : "s");
}

}  // namespace

std::span<const Repl::Command> Repl::commands() {
  static constexpr Command kCommands[] = {
      {"/help", "", "this list", &Repl::help},
      {"/clear", "", "forget the messages of this branch, keep the system prompt", &Repl::clear},
      {"/system", "[TEXT]", "set the system prompt, or show it", &Repl::system},
      {"/regenerate", "", "another answer to the last question", &Repl::regenerate},
      {"/fork", "[NAME]", "go on in a copy of this conversation; what was said stays computed", &Repl::fork},
      {"/switch", "NAME", "go to another branch of the conversation", &Repl::switch_branch},
      {"/branches", "", "list the branches", &Repl::list_branches},
      {"/save", "FILE", "write this branch as JSON", &Repl::save},
      {"/load", "FILE", "replace this branch by what a file holds", &Repl::load},
      {"/stats", "", "figures of the session, the cache and memory", &Repl::stats},
      {"/exit", "", "leave (or Ctrl-D)", &Repl::exit},
  };
  return kCommands;
}

std::vector<std::string> Repl::command_names() {
  std::vector<std::string> names;
  for (const Command& command : commands()) names.emplace_back(command.name);
  return names;
}

Repl::Next Repl::help(const std::string&) {
  std::string text;
  for (const Command& command : commands())
    text += fmt::format("  {:<20} {}\n", fmt::format("{} {}", command.name, command.argument), command.help);
  text +=
      "  Ctrl-C               end the answer, not the chat\n"
      "A line that ends in \\ goes on in the next; \"\"\" begins and ends a message of several lines.\n";
  parts_.console.print(text);
  return Next::kGoOn;
}

Repl::Next Repl::clear(const std::string&) {
  parts_.session.conversation().clear();
  parts_.console.note("The conversation is empty.");
  return Next::kGoOn;
}

Repl::Next Repl::system(const std::string& text) {
  Conversation& conversation = parts_.session.conversation();
  if (text.empty()) {
    const auto system = conversation.system();
    parts_.console.note(system ? without_controls(*system)
                               : "There is no system prompt; /system TEXT sets one.");
    return Next::kGoOn;
  }
  if (const auto bad = text::first_invalid_utf8(text)) {
    complain(fail(ErrorKind::kInvalid, "the system prompt is not valid UTF-8 at byte {}", *bad));
    return Next::kGoOn;
  }
  conversation.set_system(text);
  parts_.console.note("The system prompt holds from the next answer on, for the whole conversation.");
  return Next::kGoOn;
}

Repl::Next Repl::regenerate(const std::string&) {
  answer([this](const Listener& listener) { return parts_.session.regenerate(listener); });
  return Next::kGoOn;
}

Repl::Next Repl::fork(const std::string& name) {
  Conversation& conversation = parts_.session.conversation();
  const std::string from = conversation.current().name;
  if (const Status done = conversation.fork(name); !done) {
    complain(done);
    return Next::kGoOn;
  }
  parts_.console.note(
      fmt::format("Branch {} goes on from {} with {}; both share the full blocks of what was said. '/switch "
                  "{}' goes back.",
                  conversation.current().name, from, messages_text(conversation.messages().size()), from));
  return Next::kGoOn;
}

Repl::Next Repl::switch_branch(const std::string& name) {
  if (name.empty()) return list_branches(name);
  Conversation& conversation = parts_.session.conversation();
  const Status done = conversation.switch_to(name);
  complain(done);
  if (done)
    parts_.console.note(fmt::format("Branch {}, {}.", conversation.current().name,
                                    messages_text(conversation.messages().size())));
  return Next::kGoOn;
}

Repl::Next Repl::list_branches(const std::string&) {
  const Conversation& conversation = parts_.session.conversation();
  std::string text;
  for (const Branch& branch : conversation.branches())
    text += fmt::format("{} {}, {}\n", &branch == &conversation.current() ? '*' : ' ', branch.name,
                        messages_text(branch.messages.size()));
  parts_.console.print(text);
  return Next::kGoOn;
}

Repl::Next Repl::save(const std::string& path) {
  if (path.empty()) {
    complain(fail(ErrorKind::kInvalid, "/save takes a file: /save chat.json"));
    return Next::kGoOn;
  }
  const auto messages = parts_.session.conversation().messages();
  Status done = check_saving(path);
  if (done)
    done = platform::write_file_atomically(expanded(path), format_messages(messages),
                                           platform::FileAccess::kEveryone);
  complain(done);
  if (done) parts_.console.note(fmt::format("{} written to {}.", messages_text(messages.size()), path));
  return Next::kGoOn;
}

Repl::Next Repl::load(const std::string& path) {
  if (path.empty()) {
    complain(fail(ErrorKind::kInvalid, "/load takes a file: /load chat.json"));
    return Next::kGoOn;
  }
  auto messages = read_messages(path);
  if (!messages) {
    complain(std::unexpected(messages.error()));
    return Next::kGoOn;
  }
  const bool waits = !messages->empty() && messages->back().role == "user";
  parts_.console.note(fmt::format("{} read from {}.{}", messages_text(messages->size()), path,
                                  waits ? " The last one waits for an answer: /regenerate." : ""));
  parts_.session.conversation().replace(std::move(*messages));
  return Next::kGoOn;
}

Repl::Next Repl::stats(const std::string&) {
  parts_.console.print(format_session(parts_.engine, parts_.session) + "\n");
  return Next::kGoOn;
}

Repl::Next Repl::exit(const std::string&) { return Next::kLeave; }

}  // namespace folio::app
