#include "text/detokenizer.h"

namespace folio::text {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, SpecialText special, TextStart start)
    : tokenizer_(&tokenizer), special_(special), at_start_(start == TextStart::kFresh) {}

std::string Detokenizer::push(TokenId token) {
  std::string out;
  if (special_ == SpecialText::kSkip && tokenizer_->is_special(token)) return out;
  std::string_view bytes = tokenizer_->token_bytes(token);
  if (bytes.empty()) return out;
  if (at_start_ && tokenizer_->strips_leading_blank() && bytes.front() == ' ') bytes.remove_prefix(1);
  at_start_ = false;
  repair_.push(bytes, out);
  return out;
}

std::string Detokenizer::flush() {
  std::string out;
  repair_.finish(out);
  at_start_ = true;
  return out;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens, SpecialText special) const {
  Detokenizer detokenizer(*this, special);
  std::string out;
  for (const TokenId token : tokens) out += detokenizer.push(token);
  out += detokenizer.flush();
  return out;
}

}  // namespace folio::text
