#include "app/chat/conversation.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"

namespace folio::app {

Conversation::Conversation(std::optional<std::string> system) : branches_{{.name = "main", .messages = {}}} {
  if (system) set_system(std::move(*system));
}

std::optional<std::string> Conversation::system() const {
  const auto& messages = current().messages;
  if (messages.empty() || messages.front().role != "system") return std::nullopt;
  return messages.front().content;
}

void Conversation::set_system(std::string text) {
  auto& messages = branch().messages;
  if (system()) messages.erase(messages.begin());
  if (!text.empty()) messages.insert(messages.begin(), {.role = "system", .content = std::move(text)});
}

void Conversation::clear() { branch().messages.resize(system() ? 1 : 0); }

void Conversation::replace(std::vector<text::ChatMessage> messages) {
  branch().messages = std::move(messages);
}

void Conversation::add_user(std::string text) {
  auto& messages = branch().messages;
  FOLIO_CHECK(messages.empty() || messages.back().role != "user", "user and assistant alternate");
  messages.push_back({.role = "user", .content = std::move(text)});
}

void Conversation::add_assistant(std::string text) {
  auto& messages = branch().messages;
  FOLIO_CHECK(!messages.empty() && messages.back().role == "user", "an answer follows a question");
  messages.push_back({.role = "assistant", .content = std::move(text)});
}

void Conversation::drop_last() {
  FOLIO_CHECK(!messages().empty() && messages().back().role != "system", "there is a message to drop");
  branch().messages.pop_back();
}

bool Conversation::has_answer() const { return !messages().empty() && messages().back().role == "assistant"; }

bool Conversation::has_branch(std::string_view name) const {
  return std::ranges::any_of(branches_, [&](const Branch& branch) { return branch.name == name; });
}

Status Conversation::fork(std::string name) {
  if (branches_.size() == kMaxBranches)
    return fail(ErrorKind::kTooLarge, "there are {} branches already; start another chat", kMaxBranches);
  for (std::size_t number = branches_.size() + 1; name.empty(); ++number)
    if (std::string free = fmt::format("branch-{}", number); !has_branch(free)) name = std::move(free);
  if (std::ranges::any_of(name, [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
    return fail(ErrorKind::kInvalid, "the name of a branch is one word: /fork better-idea");
  if (has_branch(name))
    return fail(ErrorKind::kInvalid, "there is a branch '{0}' already; '/switch {0}' goes there", name);
  branches_.push_back({.name = std::move(name), .messages = current().messages});
  current_ = branches_.size() - 1;
  return {};
}

Status Conversation::switch_to(std::string_view name) {
  const auto found = std::ranges::find(branches_, name, &Branch::name);
  if (found == branches_.end()) {
    std::vector<std::string_view> names;
    names.reserve(branches_.size());
    for (const Branch& branch : branches_) names.push_back(branch.name);
    return fail(ErrorKind::kNotFound, "there is no branch '{}'; there are: {}", name, fmt::join(names, ", "));
  }
  current_ = static_cast<std::size_t>(found - branches_.begin());
  return {};
}

}  // namespace folio::app
