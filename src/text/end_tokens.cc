#include "text/end_tokens.h"

#include <algorithm>
#include <array>

namespace folio::text {
namespace {

constexpr std::array<std::string_view, 20> kEndNames = {
    "<|im_end|>",    "<|eot_id|>", "<|eom_id|>",      "<end_of_turn>", "<turn|>",
    "<|end|>",       "<|return|>", "<|call|>",        "<|calls|>",     "<|flush|>",
    "<|endoftext|>", "</s>",       "<|end_of_text|>", "<EOT>",         "_<EOT>",
    "[EOT]",         "[EOS]",      "<|EOT|>",         "<|eot|>",       "<end_of_utterance>",
};
constexpr std::string_view kDeepSeekEnd = "<｜end▁of▁sentence｜>";

}  // namespace

bool is_end_token_name(std::string_view stored_text) {
  return stored_text == kDeepSeekEnd || std::ranges::find(kEndNames, stored_text) != kEndNames.end();
}

std::vector<TokenId> known_end_tokens(const std::function<std::optional<TokenId>(std::string_view)>& find) {
  const bool is_harmony = find("<|return|>").has_value();
  std::vector<TokenId> ids;
  const auto add = [&](std::string_view name) {
    if (const auto id = find(name)) ids.push_back(*id);
  };
  for (const std::string_view name : kEndNames) {
    if (!(is_harmony && name == "<|end|>")) add(name);
  }
  add(kDeepSeekEnd);
  return ids;
}

}  // namespace folio::text
