#include "text/utf8.h"

namespace folio::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Scan {
  std::size_t bytes;  // of the character, or of the maximal ill-formed part
  enum Kind { kCharacter, kIllFormed, kIncomplete } kind;
};

// Looks at the bytes from `at`, which must be inside. kIncomplete: the text ends inside a character.
Scan scan(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {1, Scan::kCharacter};
  if (lead < 0xC2 || lead > 0xF4) return {1, Scan::kIllFormed};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= text.size()) return {i, Scan::kIncomplete};
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (i == 1) {  // the second byte rules out overlong forms, surrogates and what lies above U+10FFFF
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    }
    if (byte(at + i) < low || byte(at + i) > high) return {i, Scan::kIllFormed};
  }
  return {length, Scan::kCharacter};
}

}  // namespace

// By the scanner that Utf8Repair needs anyway. simdutf would be faster, and Debian 12 has no package of it.
std::optional<std::size_t> first_invalid_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const Scan found = scan(bytes, at);
    if (found.kind != Scan::kCharacter) return at;
    at += found.bytes;
  }
  return std::nullopt;
}

void Utf8Repair::push(std::string_view bytes, std::string& out) {
  std::string joined;  // only when something waits
  if (!pending_.empty()) {
    joined.reserve(pending_.size() + bytes.size());
    joined.append(pending_).append(bytes);
    bytes = joined;
    pending_.clear();
  }
  for (std::size_t at = 0; at < bytes.size();) {
    const Scan found = scan(bytes, at);
    if (found.kind == Scan::kIncomplete) {
      pending_.assign(bytes.substr(at));
      return;
    }
    out.append(found.kind == Scan::kCharacter ? bytes.substr(at, found.bytes) : kReplacement);
    at += found.bytes;
  }
}

void Utf8Repair::finish(std::string& out) {
  if (!pending_.empty()) out.append(kReplacement);
  pending_.clear();
}

}  // namespace folio::text
