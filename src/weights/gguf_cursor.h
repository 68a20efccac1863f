// The sequential part of parse_gguf(): a position in the bytes of one file and the errors that name it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace folio::weights {

class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, std::string_view source) : bytes_(bytes), source_(source) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return bytes_.size() - offset_; }
  const std::string& source() const { return source_; }

  // What is being read, for messages: "metadata key 'general.name'".
  void set_field(std::string field) { field_ = std::move(field); }

  // A little-endian number. Error: the file ends inside it.
  template <typename T>
  Result<T> number(std::string_view what) {
    T value;
    if (left() < sizeof value) return cut_off(what, sizeof value);
    std::memcpy(&value, bytes_.data() + offset_, sizeof value);
    offset_ += sizeof value;
    return value;
  }

  // The next `size` bytes. Error: fewer are left.
  Result<std::span<const std::byte>> take(std::uint64_t size, std::string_view what) {
    if (left() < size) return cut_off(what, size);
    const auto taken = bytes_.subspan(offset_, size);
    offset_ += size;
    return taken;
  }

  // u64 length and that many bytes. Errors: longer than `max_bytes`, or than the file.
  Result<std::string_view> string(std::string_view what, std::uint64_t max_bytes);

  // An error at `offset`: "file: field: text (byte offset)".
  std::unexpected<Error> error(ErrorKind kind, std::uint64_t offset, std::string_view text) const;

 private:
  std::unexpected<Error> cut_off(std::string_view what, std::uint64_t size) const;

  std::span<const std::byte> bytes_;
  std::string source_;
  std::string field_ = "header";
  std::uint64_t offset_ = 0;
};

}  // namespace folio::weights
