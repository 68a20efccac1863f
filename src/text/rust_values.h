// Values of rust/folio_rust.h as C++ ones. Private to src/text/.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "folio_rust.h"

namespace folio::text {

inline FolioStr to_rust(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view from_rust(FolioStr text) {
  return {reinterpret_cast<const char*>(text.data), text.size};
}

// A FolioBytes that frees itself; give `&bytes.value` to a function that fills it.
struct RustBytes {
  FolioBytes value{nullptr, 0};

  RustBytes() = default;
  RustBytes(const RustBytes&) = delete;
  RustBytes& operator=(const RustBytes&) = delete;
  ~RustBytes() { folio_bytes_free(value); }

  std::string_view view() const { return {reinterpret_cast<const char*>(value.data), value.size}; }
};

// Requires: status is not FOLIO_OK.
inline std::unexpected<Error> rust_error(FolioStatus status, const RustBytes& message) {
  ErrorKind kind = ErrorKind::kInvalid;
  if (status == FOLIO_UNSUPPORTED || status == FOLIO_BUG) kind = ErrorKind::kUnsupported;
  if (status == FOLIO_LIMIT) kind = ErrorKind::kTooLarge;
  return std::unexpected(Error{kind, std::string(message.view())});
}

}  // namespace folio::text
