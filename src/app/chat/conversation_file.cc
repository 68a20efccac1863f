// Conversations as JSON: what /save writes and /load reads.
#include <nlohmann/json.hpp>

#include "app/chat/conversation.h"
#include "weights/json_text.h"

namespace folio::app {
namespace {

Result<text::ChatMessage> read_message(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object()) return fail(ErrorKind::kInvalid, "{} is no object with 'role' and 'content'", where);
  text::ChatMessage message;
  for (const auto& [key, target] :
       {std::pair{"role", &message.role}, std::pair{"content", &message.content}}) {
    const auto field = json.find(key);
    if (field == json.end()) return fail(ErrorKind::kInvalid, "{} has no '{}'", where, key);
    if (!field->is_string()) return fail(ErrorKind::kInvalid, "{}: '{}' is no text", where, key);
    *target = field->get<std::string>();
  }
  return message;
}

}  // namespace

std::string format_messages(std::span<const text::ChatMessage> messages) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const text::ChatMessage& message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  const nlohmann::ordered_json file = {
      {"format", "folio-chat"}, {"version", 1}, {"messages", std::move(list)}};
  return file.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<std::vector<text::ChatMessage>> parse_messages(std::string_view json, const std::string& source) {
  FOLIO_TRY(file, weights::parse_json(json, source));
  const nlohmann::json* list = &file;
  if (file.is_object()) {
    const auto field = file.find("messages");
    if (field == file.end())
      return fail(ErrorKind::kInvalid, "{}: has no 'messages'; it is no saved conversation", source);
    list = &*field;
  }
  if (!list->is_array()) return fail(ErrorKind::kInvalid, "{}: the messages are no array", source);

  std::vector<text::ChatMessage> messages;
  for (std::size_t i = 0; i < list->size(); ++i) {
    FOLIO_TRY(message, read_message((*list)[i], fmt::format("{}: message {}", source, i)));
    const bool after_user = !messages.empty() && messages.back().role == "user";
    const bool expected = message.role == "system"      ? i == 0
                          : message.role == "user"      ? !after_user
                          : message.role == "assistant" ? after_user
                                                        : false;
    if (!expected)
      return fail(ErrorKind::kInvalid,
                  "{}: message {} has the role '{}' out of turn; one 'system' may come first, then 'user' "
                  "and 'assistant' "
                  "in turn",
                  source, i, message.role.substr(0, 40));
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace folio::app
