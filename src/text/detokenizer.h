// Detokenizer: token ids, one at a time, to text that a terminal or a client can show at once.
//
// For any tokens t1..tn: push(t1) + ... + push(tn) + flush() == tokenizer.decode({t1..tn}, special), and
// every single piece is valid UTF-8: bytes of an unfinished character wait inside. At most three bytes wait.
// Threads: one thread per object. The Tokenizer must outlive it.
#pragma once

#include <string>

#include "base/ids.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace folio::text {

// Where the tokens stand: at the beginning of a text, or after text that was decoded before. Only a beginning
// loses the blank that an SPM vocabulary puts before it.
enum class TextStart { kFresh, kContinued };

class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, SpecialText special = SpecialText::kSkip,
                       TextStart start = TextStart::kFresh);

  [[nodiscard]] std::string push(TokenId token);
  // The end of the text: an unfinished character becomes U+FFFD. The object is then as new.
  [[nodiscard]] std::string flush();

 private:
  const Tokenizer* tokenizer_;
  SpecialText special_;
  bool at_start_;
  Utf8Repair repair_;
};

}  // namespace folio::text
