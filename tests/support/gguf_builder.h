// Writes GGUF files for tests: correct ones, and wrong ones where a test says so.
//
//   std::string file = GgufBuilder().add("general.name", "tiny").tensor({.name = "a", .dims = {32}, .type =
//   2}).build();
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor_type.h"
#include "weights/gguf_metadata.h"

namespace folio::test {

struct GgufTestTensor {
  std::string name;
  std::vector<std::uint64_t> dims;  // contiguous one first
  std::uint32_t type = 0;
  std::optional<std::uint64_t> offset = {};  // default: where it belongs
  std::optional<std::string> data = {};      // default: as many bytes as it should have, 1, 2, 3, ...
};

class GgufBuilder {
 public:
  std::uint32_t version = 3;
  std::uint32_t alignment = 32;
  std::optional<std::uint64_t> tensor_count = {};  // instead of the true one
  std::optional<std::uint64_t> entry_count = {};

  template <typename T>
  static std::string raw(const T& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  }
  static std::string string(std::string_view text) {
    return raw<std::uint64_t>(text.size()) + std::string(text);
  }

  GgufBuilder& entry(std::string_view key, std::uint32_t type, std::string_view value_bytes) {
    entries_ += string(key) + raw(type) + std::string(value_bytes);
    ++entries_written_;
    return *this;
  }
  GgufBuilder& add(std::string_view key, std::uint8_t value) { return entry(key, 0, raw(value)); }
  GgufBuilder& add(std::string_view key, std::uint16_t value) { return entry(key, 2, raw(value)); }
  GgufBuilder& add(std::string_view key, std::uint32_t value) { return entry(key, 4, raw(value)); }
  GgufBuilder& add(std::string_view key, std::int32_t value) { return entry(key, 5, raw(value)); }
  GgufBuilder& add(std::string_view key, float value) { return entry(key, 6, raw(value)); }
  GgufBuilder& add(std::string_view key, bool value) {
    return entry(key, 7, std::string(1, value ? '\1' : '\0'));
  }
  GgufBuilder& add(std::string_view key, std::uint64_t value) { return entry(key, 10, raw(value)); }
  GgufBuilder& add(std::string_view key, std::int64_t value) { return entry(key, 11, raw(value)); }
  GgufBuilder& add(std::string_view key, double value) { return entry(key, 12, raw(value)); }
  GgufBuilder& add(std::string_view key, const char* value) { return entry(key, 8, string(value)); }
  GgufBuilder& add(std::string_view key, const std::vector<std::string>& values) {
    std::string bytes = raw<std::uint32_t>(8) + raw<std::uint64_t>(values.size());
    for (const std::string& value : values) bytes += string(value);
    return entry(key, 9, bytes);
  }
  template <typename T>
  GgufBuilder& add_array(std::string_view key, weights::GgufType element, const std::vector<T>& values) {
    std::string bytes = raw(static_cast<std::uint32_t>(element)) + raw<std::uint64_t>(values.size());
    for (const T& value : values) bytes += raw(value);
    return entry(key, 9, bytes);
  }

  GgufBuilder& tensor(GgufTestTensor tensor) {
    tensors_.push_back(std::move(tensor));
    return *this;
  }

  // Without padding after the last tensor, so that every byte of the file counts.
  std::string build() const {
    std::string table;
    std::string data;
    for (const GgufTestTensor& t : tensors_) {
      pad(data);
      table += string(t.name) + raw<std::uint32_t>(static_cast<std::uint32_t>(t.dims.size()));
      for (const std::uint64_t dim : t.dims) table += raw(dim);
      table += raw(t.type) + raw<std::uint64_t>(t.offset.value_or(data.size()));
      data += t.data ? *t.data : counting_bytes(t);
    }
    std::string file = "GGUF" + raw(version) + raw<std::uint64_t>(tensor_count.value_or(tensors_.size())) +
                       raw<std::uint64_t>(entry_count.value_or(entries_written_)) + entries_ + table;
    if (!tensors_.empty()) pad(file);
    return file + data;
  }

 private:
  void pad(std::string& bytes) const {
    while (bytes.size() % alignment != 0) bytes += '\0';
  }

  static std::string counting_bytes(const GgufTestTensor& t) {
    const kernels::TensorTypeInfo* type = kernels::find_tensor_type(t.type);
    std::uint64_t numbers = 1;
    for (const std::uint64_t dim : t.dims) numbers *= dim;
    std::string bytes(type == nullptr ? 0 : numbers / type->elements * type->bytes, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i + 1);
    return bytes;
  }

  std::string entries_;
  std::uint64_t entries_written_ = 0;
  std::vector<GgufTestTensor> tensors_;
};

// A small file with one of everything: all value types, arrays, an f32, an f16 and a Q4_0 tensor.
inline GgufBuilder everything_gguf() {
  GgufBuilder file;
  file.add("general.architecture", "llama")
      .add("general.alignment", std::uint32_t{32})
      .add("a.u8", std::uint8_t{200})
      .entry("a.i8", 1, GgufBuilder::raw(std::int8_t{-5}))
      .add("a.u16", std::uint16_t{60000})
      .entry("a.i16", 3, GgufBuilder::raw(std::int16_t{-300}))
      .add("a.u32", std::uint32_t{4000000000})
      .add("a.i32", std::int32_t{-70000})
      .add("a.f32", 1.5f)
      .add("a.bool", true)
      .add("a.u64", std::uint64_t{1} << 40)
      .add("a.i64", -(std::int64_t{1} << 40))
      .add("a.f64", 0.25)
      .add("a.tokens", std::vector<std::string>{"a", "", "\xc3\xa9"})
      .add_array<std::int32_t>("a.ids", weights::GgufType::kI32, {1, -2, 3})
      .add_array<float>("a.scores", weights::GgufType::kF32, {0.5f, -1.0f})
      .add_array<std::uint8_t>("a.flags", weights::GgufType::kBool, {1, 0})
      .tensor({.name = "norm.weight", .dims = {3}, .type = 0})
      .tensor({.name = "half.weight", .dims = {4, 2}, .type = 1})
      .tensor({.name = "blk.0.weight", .dims = {32, 2, 2}, .type = 2});
  return file;
}

}  // namespace folio::test
