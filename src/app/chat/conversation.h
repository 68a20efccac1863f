// Conversation: messages in branches. Plain data with rules; knows no engine and no terminal.
//
// Invariants: there is always a current branch; a system message, if any, is a branch's first; after it user
// and assistant alternate, beginning with the user. Thread-compatible.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/chat_template.h"

namespace folio::app {

inline constexpr std::size_t kMaxConversationBytes = 64u << 20;  // of a saved file
inline constexpr std::size_t kMaxBranches = 1000;

struct Branch {
  std::string name;
  std::vector<text::ChatMessage> messages;
};

class Conversation {
 public:
  explicit Conversation(std::optional<std::string> system = {});

  std::span<const text::ChatMessage> messages() const { return current().messages; }
  const Branch& current() const { return branches_[current_]; }
  std::span<const Branch> branches() const { return branches_; }
  std::optional<std::string> system() const;

  void set_system(std::string text);  // of the current branch; empty: none
  void clear();                       // forgets the current branch's messages but the system's
  void replace(std::vector<text::ChatMessage> messages);  // Requires: as parse_messages() gives them

  void add_user(std::string text);       // Requires: the last message is not the user's
  void add_assistant(std::string text);  // Requires: the last message is the user's
  void drop_last();                      // Requires: there is one that is not the system's
  bool has_answer() const;               // the last message is the assistant's

  // A copy of the current branch under a new name (empty: branch-2, branch-3, ...), which becomes the current
  // one. Errors: a name that is taken or is no single word, kMaxBranches.
  [[nodiscard]] Status fork(std::string name);
  [[nodiscard]] Status switch_to(std::string_view name);  // Errors: no such branch; names those there are

 private:
  Branch& branch() { return branches_[current_]; }
  bool has_branch(std::string_view name) const;

  std::vector<Branch> branches_;
  std::size_t current_ = 0;
};

// The messages as JSON text: {"format": "folio-chat", "version": 1, "messages": [{"role": ..., "content":
// ...}]}.
[[nodiscard]] std::string format_messages(std::span<const text::ChatMessage> messages);

// Reads that, or a bare array of messages as in the OpenAI API (contents that are texts). `source` begins
// every error.
[[nodiscard]] Result<std::vector<text::ChatMessage>> parse_messages(std::string_view json,
                                                                    const std::string& source);

}  // namespace folio::app
