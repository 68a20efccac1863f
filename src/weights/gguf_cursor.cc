#include "weights/gguf_cursor.h"

namespace folio::weights {

Result<std::string_view> GgufCursor::string(std::string_view what, std::uint64_t max_bytes) {
  const std::uint64_t at = offset_;
  FOLIO_TRY(length, number<std::uint64_t>(what));
  if (length > max_bytes) {
    return error(ErrorKind::kTooLarge, at,
                 fmt::format("{} has a length of {} bytes, the limit is {}", what, length, max_bytes));
  }
  FOLIO_TRY(taken, take(length, what));
  return std::string_view(reinterpret_cast<const char*>(taken.data()), taken.size());
}

std::unexpected<Error> GgufCursor::error(ErrorKind kind, std::uint64_t offset, std::string_view text) const {
  return fail(kind, "{}: {}: {} (byte {})", source_, field_, text, offset);
}

std::unexpected<Error> GgufCursor::cut_off(std::string_view what, std::uint64_t size) const {
  return error(ErrorKind::kInvalid, offset_,
               fmt::format("{} needs {} bytes but the file ends at byte {}; it is truncated or damaged", what,
                           size, bytes_.size()));
}

}  // namespace folio::weights
