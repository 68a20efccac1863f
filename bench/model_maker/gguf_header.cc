#include "gguf_header.h"

#include "weights/gguf_metadata.h"

namespace folio::model_maker {
namespace {

using weights::GgufType;

// Numbers as this machine holds them: little-endian, as the format has them.
template <typename T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_text(std::string& to, std::string_view text) {
  append(to, std::uint64_t{text.size()});
  to += text;
}

}  // namespace

void GgufHeader::begin_entry(std::string_view key, std::uint32_t type) {
  append_text(entries_, key);
  append(entries_, type);
  ++entry_count_;
}

void GgufHeader::add(std::string_view key, std::string_view value) {
  begin_entry(key, static_cast<std::uint32_t>(GgufType::kString));
  append_text(entries_, value);
}

void GgufHeader::add(std::string_view key, std::uint32_t value) {
  begin_entry(key, static_cast<std::uint32_t>(GgufType::kU32));
  append(entries_, value);
}

void GgufHeader::add(std::string_view key, float value) {
  begin_entry(key, static_cast<std::uint32_t>(GgufType::kF32));
  append(entries_, value);
}

void GgufHeader::add(std::string_view key, std::span<const std::string> values) {
  begin_entry(key, static_cast<std::uint32_t>(GgufType::kArray));
  append(entries_, static_cast<std::uint32_t>(GgufType::kString));
  append(entries_, std::uint64_t{values.size()});
  for (const std::string& value : values) append_text(entries_, value);
}

void GgufHeader::add(std::string_view key, std::span<const std::int32_t> values) {
  begin_entry(key, static_cast<std::uint32_t>(GgufType::kArray));
  append(entries_, static_cast<std::uint32_t>(GgufType::kI32));
  append(entries_, std::uint64_t{values.size()});
  for (const std::int32_t value : values) append(entries_, value);
}

void GgufHeader::add_tensor(std::string_view name, std::span<const std::uint64_t> dims,
                            kernels::TensorType type, std::uint64_t bytes) {
  append_text(table_, name);
  append(table_, static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t dim : dims) append(table_, dim);
  append(table_, static_cast<std::uint32_t>(type));
  append(table_, data_bytes_);
  data_bytes_ += gguf_padded(bytes);
  ++tensor_count_;
}

std::string GgufHeader::bytes() const {
  std::string head = "GGUF";
  append(head, std::uint32_t{3});
  append(head, tensor_count_);
  append(head, entry_count_);
  head += entries_;
  head += table_;
  head.resize(gguf_padded(head.size()));
  return head;
}

}  // namespace folio::model_maker
