// UTF-8: finding the first bad byte, and turning any byte stream into valid text piece by piece.
// Threads: functions are pure; a Utf8Repair belongs to one thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace folio::text {

// Offset of the first byte that is not part of a well-formed character; nullopt when all of it is UTF-8.
// Well-formed as in Unicode 15, table 3-7: no surrogates, no overlong forms, nothing above U+10FFFF. Linear.
[[nodiscard]] std::optional<std::size_t> first_invalid_utf8(std::string_view bytes);

// Bytes in, valid UTF-8 out. Every maximal ill-formed part becomes one U+FFFD, so the result does not depend
// on how the bytes were cut into pieces. Between calls at most three bytes wait: the start of a character.
class Utf8Repair {
 public:
  void push(std::string_view bytes, std::string& out);  // appends to out
  void finish(std::string& out);                        // what waits becomes U+FFFD; ready for a new stream

 private:
  std::string pending_;  // at most three bytes
};

}  // namespace folio::text
